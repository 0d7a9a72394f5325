"""The folder of a run.

It holds `run.json` (what was asked), `splits.json` (which sample is in which split, where the splits were made),
`best.safetensors` and `last.safetensors` (models), `metrics.csv` and `curves.png` (figures of every epoch),
`result.json` (the same once the run has ended, and the digests of the models), `evaluations.json` (figures measured
afterwards), `logs/` and `last.ckpt`. The last is Lightning's own checkpoint, a torch file with optimizer and schedule.
It is there to resume this run and is read by Lightning alone, with `weights_only`, so that nothing in it is executed;
models are shared as safetensors files. `run.json`, `result.json` and `evaluations.json` are enough to compare the run
with others.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zoo.errors import InvalidValue
from zoo.files import locked, read_whole, reserved, write_atomically
from zoo.spec import Spec
from zoo.train.data.request import told, unusual

if TYPE_CHECKING:
    from zoo import Model


class Taken(InvalidValue):
    """Another process is training in the folder."""


class RunFolder:
    """Where a run keeps what it makes.

    Args:
        path: The folder; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / "last.ckpt"
        self.logs = path / "logs"
        self.metrics = path / "metrics.csv"
        self.curves = path / "curves.png"
        self._run = path / "run.json"
        self._splits = path / "splits.json"
        self.result = path / "result.json"
        self._evaluations = path / "evaluations.json"
        self._is_reserved = False

    @property
    def sittings(self) -> int:
        """How often it was begun or resumed so far; each sitting has a log of its own."""
        logs = (path.name.rpartition("_")[2] for path in self.logs.glob("sitting_*"))
        return max((int(number) for number in logs if number.isdecimal()), default=0)

    @property
    def is_run(self) -> bool:
        """Whether `zoo train` began a run in it."""
        return self._run.is_file()

    @property
    def ended(self) -> bool:
        """Whether the training came to its end, and its result can be read."""
        try:
            return bool({"best", "history", "seconds"} <= _read_json(self.result).keys())
        except (OSError, ValueError, AttributeError):
            return False

    @property
    def has_begun(self) -> bool:
        """Whether a training left anything in it that could be lost."""
        kept = (self.checkpoint, self.metrics, self.result, self.model_path("best"))
        return any(path.exists() for path in kept)

    @property
    def resume_command(self) -> str:
        """The command that goes on with the run."""
        return shlex.join(["zoo", "train", "--resume", str(self.path)])

    def model_path(self, which: Literal["best", "last"]) -> Path:
        """The file of the best or the last model."""
        return self.path / f"{which}.safetensors"

    def read(self) -> dict[str, Any]:
        """What was asked of the run.

        Raises:
            InvalidValue: There is no run in the folder.
        """
        try:
            run = _read_json(self._run)
        except FileNotFoundError:
            why = f"it has no {self._run.name}" if self.path.is_dir() else "there is no such folder"
            raise InvalidValue(f"{self.path} holds no run: {why}.") from None
        except (OSError, ValueError) as error:
            raise InvalidValue(
                f"{self.path} holds no run: {self._run.name} cannot be read ({error})."
            ) from None
        if not isinstance(run, dict) or not {"spec", "recipe", "data"} <= run.keys():
            raise InvalidValue(
                f"{self._run} does not say spec, recipe and data; it is no run of ours."
            )
        return run

    @contextmanager
    def reserved(self, *, resume: bool) -> Iterator[None]:
        """Let no other process train in this folder meanwhile; it is made, unless a run in it is resumed.

        Whoever has reserved it can hand this object on, which may be reserved again within.

        Raises:
            InvalidValue: One does, or the folder cannot be made.
        """
        if self._is_reserved:
            yield
            return
        made = False
        if not resume:
            try:
                made = not self.path.exists()
                self.path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InvalidValue(f"{self.path} cannot be made: {error.strerror}.") from None
        try:
            with reserved(self.path) as free:
                if not free:
                    raise Taken(
                        f"Another process is training in {self.path}. Wait for its end, or stop it."
                    )
                self._is_reserved = True
                yield
        finally:
            self._is_reserved = False
            if made:
                with suppress(OSError):  # what was begun in it, or reserved by others, is not empty
                    self.path.rmdir()

    def prepare(
        self,
        run: dict[str, Any],
        members: Mapping[str, Sequence[str]] | None = None,
        digests: Mapping[str, str] | None = None,
    ) -> None:
        """Write down what is to be trained.

        Args:
            run: What was asked.
            members: The names of the samples in each split, where the splits were made.
            digests: Of the samples of each split.

        Raises:
            InvalidValue: The folder holds a run already, of which something was trained.
        """
        self.check_new()
        self._splits.unlink(missing_ok=True)  # of one that never began
        if members:
            _write_json(self._splits, {name: list(names) for name, names in members.items()})
        _write_json(self._run, {**run, "digests": dict(digests or {})})

    def check_new(self) -> None:
        """See that a run can begin in the folder, and nothing is lost by it.

        Raises:
            InvalidValue: It holds a run already, of which something was trained.
        """
        if self.is_run:
            self.read()  # which refuses what others wrote
        if self.is_run and self.has_begun:
            if self.ended:
                raise InvalidValue(
                    f"{self.path} already holds a run, which has ended. Choose another folder with --output; to begin "
                    f"with its weights, --start-from {self.model_path('last')}."
                )
            raise InvalidValue(
                f"{self.path} already holds a run. Resume it ({self.resume_command}), or choose another folder with "
                "--output."
            )
        if self.checkpoint.exists():
            raise InvalidValue(
                f"{self.path} holds the checkpoint of a run whose {self._run.name} is gone. Choose another folder "
                "with --output."
            )

    def members(self) -> dict[str, list[str]] | None:
        """The names of the samples in each split; None where they were not written down.

        Raises:
            InvalidValue: The file cannot be read.
        """
        try:
            content: dict[str, list[str]] = _read_json(self._splits)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise InvalidValue(f"{self._splits} cannot be read ({error}).") from None
        return content

    def knows(self, split: str, digest: str) -> bool:
        """Whether these are the samples of a split that it was started with, as far as that was noted."""
        said = self.read().get("digests")
        return not isinstance(said, dict) or said.get(split, digest) == digest

    def save_model(
        self,
        model: Model,
        which: Literal["best", "last"],
        run: Mapping[str, Any],
        figures: dict[str, float],
    ) -> None:
        """Save a model with the figures of its epoch, its recipe and where it came from.

        Args:
            model: With the weights to save.
            which: The best so far, or the last.
            run: What was asked of the run, as `read` gives it.
            figures: Of the epoch.
        """
        import lightning
        import torch

        from zoo.api import save

        provenance = {
            "data": run["data"],
            "epoch": int(figures["epoch"]),
            "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "torch": torch.__version__.partition("+")[0],
            "lightning": lightning.__version__,
        }
        if (before := run.get("started_from")) is not None:
            provenance["started_from"] = before
        if run.get("digests"):
            provenance["digests"] = run["digests"]
        if run.get("processes", 1) != 1:  # each of which saw a part of every batch
            provenance["processes"] = run["processes"]
        provenance.update(told(run.get("request") or {}))
        save(
            model,
            self.model_path(which),
            metrics=_metrics(figures, run["data"]),
            recipe=run["recipe"],
            provenance=provenance,
        )

    @staticmethod
    def conditions(run: Mapping[str, Any]) -> dict[str, Any]:
        """What a run depends on beside spec, recipe and data, as far as it is out of the ordinary."""
        before = run.get("started_from") or {}
        if "pretrained" in before and Spec.from_data(run["spec"]).backbone.pretrained:
            before = {}  # the spec says it, but for older runs
        started = {"started_from": before} if before else {}
        return {**unusual(run.get("request") or {}), **started}

    def evaluations(self, which: Literal["best", "last"]) -> dict[str, float]:
        """Figures of a model that were measured after the training, e.g. `test/top1`."""
        content = self._all_evaluations().get(self.digest(which), {})
        return {name: float(value) for name, value in content.items()}

    def keep_evaluation(self, digest: str, figures: dict[str, float]) -> None:
        """Write down figures of a model; they hold for the file of this digest, and for no other."""
        with locked(self._run):  # two may measure at once
            content = self._all_evaluations()
            content.setdefault(digest, {}).update(figures)
            _write_json(self._evaluations, content)

    def _all_evaluations(self) -> dict[str, dict[str, float]]:
        if not self._evaluations.exists():
            return {}
        try:
            content = json.loads(self._evaluations.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidValue(
                f"{self._evaluations} cannot be read ({error}); delete it."
            ) from None
        if not isinstance(content, dict) or not all(
            isinstance(one, dict) for one in content.values()
        ):
            raise InvalidValue(f"{self._evaluations} holds no evaluations; delete it.")
        return content

    def digest(self, which: Literal["best", "last"]) -> str:
        """SHA-256 of a model's file; as the result has it where the file was not kept."""
        path = self.model_path(which)
        if not path.exists() and self.ended:
            said = _read_json(self.result).get("sha256", {}).get(which)
            if isinstance(said, str):
                return said
        return hashlib.sha256(read_whole(path)).hexdigest()

    def write_history(self, history: list[dict[str, float]]) -> None:
        """Write the figures of all epochs so far, a line each."""
        names = list(history[0])
        rows = [names, *([f"{figures[name]:.6g}" for name in names] for figures in history)]
        text = "".join(f"{','.join(row)}\n" for row in rows)
        write_atomically(self.metrics, text.encode())

    def write_result(
        self,
        run: Mapping[str, Any],
        best: dict[str, float],
        history: list[dict[str, float]],
        seconds: float,
    ) -> None:
        """Write the figures of a run that has ended; `run` is what was asked of it, as `read` gives it."""
        asked = {name: run[name] for name in ("spec", "recipe", "data")}
        result = {**asked, "metrics": _metrics(best, run["data"]), "seconds": seconds}
        result["sha256"] = {which: self.digest(which) for which in ("best", "last")}
        _write_json(self.result, {**result, "best": best, "history": history})


def _metrics(figures: dict[str, float], data: str) -> dict[str, dict[str, float]]:
    """An epoch's validation figures, as they stand in a registry."""
    return {f"{data}/validation/top1": {"mean": round(figures["validation/top1"], 6), "seeds": 1}}


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _write_json(path: Path, data: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(data, indent=2) + "\n").encode())

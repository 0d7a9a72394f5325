"""Whether a run can go on: it was asked for the same, on the same samples, and its files are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from zoo.errors import InvalidValue, counted, some
from zoo.spec import Spec
from zoo.train.recipe import Recipe
from zoo.weights import without_pretrained

if TYPE_CHECKING:
    from zoo.train.data.dataset import Data
    from zoo.train.run_folder import RunFolder


def under_its_name(folder: RunFolder, data: Data) -> Data:
    """Data that may have been moved, under the name that a run has for them.

    Whether they are the same is not told by a name: `check_data` goes by their digests.

    Raises:
        InvalidValue: They are called otherwise, and the run has noted nothing else to know them by.
    """
    run = folder.read()
    if data.name == run["data"]:
        return data
    if not data.digests or data.digests.keys() != (run.get("digests") or {}).keys():
        raise InvalidValue(
            f"{folder.path} was started with data called {run['data']}, and these are called {data.name}. It was started "
            "before samples were noted, so that nothing else tells whether they are the same. Call them as they were, "
            "or start another run."
        )
    return replace(data, name=run["data"])


def check_resumable(folder: RunFolder, spec: Spec, recipe: Recipe, data: Data) -> None:
    """See that a run is the one to go on with, and whole.

    Args:
        folder: Of the run.
        spec: Of what is to be trained.
        recipe: How.
        data: As they are now.

    Raises:
        InvalidValue: It is another one, its data have changed, or a file is gone.
    """
    there = folder.read()
    same = {
        # Resumed from a checkpoint, which has all weights.
        "spec": without_pretrained(Spec.from_data(there["spec"])) == without_pretrained(spec),
        "recipe": Recipe.from_data(there["recipe"]) == recipe,
        "data": there["data"] == data.name,
    }
    for what, holds in same.items():
        if not holds:
            raise InvalidValue(
                f"{folder.path} holds a run with another {what}; resume it as it was started, or choose another folder."
            )
    _check_files(folder)
    check_data(folder, data)


def check_data(folder: RunFolder, data: Data) -> None:
    """See that data are those that a run was started with.

    Raises:
        InvalidValue: They have changed.
    """
    changes = _changes(folder, data)
    if changes:
        raise InvalidValue(
            f"The data are not those that {folder.path} was started with: {changes}. Bring them back as they were, or "
            "start another run."
        )


def _check_files(folder: RunFolder) -> None:
    has_epoch = folder.metrics.exists()  # that was complete
    if not has_epoch and not folder.checkpoint.exists():  # and with it the weights to start with
        raise InvalidValue(
            f"{folder.path} holds a run that ended before its training began; start it as before."
        )
    for path in (folder.checkpoint, *([folder.model_path("best")] if has_epoch else [])):
        if not path.exists():
            raise InvalidValue(
                f"{folder.path} has lost {path.name}, without which it cannot go on. Put the file back, or start "
                "another run."
            )


def _changes(folder: RunFolder, data: Data) -> str:
    """What is different in the data; nothing if they are as they were, as far as that was noted."""
    if data.digests and data.digests == folder.read().get("digests"):
        return ""  # each sample in its place, whatever its file is called now
    before = folder.members()
    if data.members and before is None:
        return f"their splits are drawn, and {folder.path} has no splits.json to say how they were"
    then, now = _all(before or {}), _all(data.members)
    found = [
        f"{counted(len(names), 'sample')} {'is' if len(names) == 1 else 'are'} {what} ({some(sorted(names))})"
        for what, names in (("new", now - then), ("gone", then - now))
        if names
    ]
    if found:
        return ", ".join(found)
    if (before or {}) != {name: list(names) for name, names in data.members.items()}:
        return "the same samples are divided otherwise"
    for split, digest in data.digests.items():
        if not folder.knows(split, digest):
            return f"the {split} split has samples with another content or class"
    return ""


def _all(members: Mapping[str, Sequence[str]]) -> set[str]:
    return {name for names in members.values() for name in names}

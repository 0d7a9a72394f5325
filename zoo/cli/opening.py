"""From what a command was given, a file, the folder of a run or a ref, to a model with its weights."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from zoo.cli.costs import VOCABULARY
from zoo.errors import InvalidRef, InvalidSpec, InvalidValue, UnknownName

if TYPE_CHECKING:
    from zoo.composition.model import Model
    from zoo.train.subject import Subject

# What a spec may leave to the data, by the kind of input.
_UNSAID: dict[str, dict[str, Any]] = {
    "image": {"channels": 3},
    "text": {"vocabulary_size": VOCABULARY, "vocabulary_bytes": 0},
}


def open_model(what: str) -> Model:
    """Return the model of a file that `zoo.save` wrote, of a run (its best), or of a ref, with its weights.

    A name without a dot or slash is always a ref, whatever lies in the current folder.

    Raises:
        ZooError: There is no such file or version, or it is not what it should be.
    """
    from zoo.api import create, load

    file = file_of(what)
    if file is not None:
        return load(file)
    with path_or_ref(what):
        return create(what, pretrained=True)


class OpenedFile(NamedTuple):
    """A file that was read whole.

    Attributes:
        model: With its weights.
        metadata: What it says of itself.
        digest: SHA-256 of its bytes.
    """

    model: Model
    metadata: Mapping[str, Any]
    digest: str


def open_file(path: Path) -> OpenedFile:
    """Return the model of a file with what the file says; all of one and the same, though a training may replace it.

    Raises:
        ZooError: It is not what it should be.
    """
    from hashlib import sha256

    from zoo.api import load
    from zoo.files import read_whole
    from zoo.weights import parse

    content = read_whole(path)
    metadata = parse(content, str(path)).metadata
    model = load(path)
    if read_whole(path) != content:
        return open_file(path)
    return OpenedFile(model, metadata, sha256(content).hexdigest())


def builder(what: str) -> Callable[[], Model]:
    """Find what a word names, and return what builds its model: one of its form, whatever its weights.

    Args:
        what: As for `open_model`; or a YAML file with a spec, a spec in the short form, or an architecture of a
            backbone (`timm/resnet18`). What a spec leaves to the data (channels, tokens) it gets here.

    Raises:
        ZooError: There is no such thing, or it is not what it should be.
    """
    from zoo.api import create, load
    from zoo.grammar import is_short_form

    if not what.endswith((".yaml", ".yml")):
        if (file := file_of(what)) is not None:
            return partial(load, file)
        if is_architecture(what) and not is_short_form(what):
            return partial(create, what)
    subject = subject_of(what)
    if subject.version is not None:
        return partial(_build, subject.spec)
    return lambda: _build(with_whole_input(subject.spec))


def subject_of(what: str) -> Subject:
    """What is to be trained: that of a YAML file, of a spec in the short form, or of a ref.

    Raises:
        ZooError: There is none of that name, or it does not say what is needed.
    """
    from zoo.api import plan_for_version
    from zoo.grammar import is_short_form
    from zoo.train.subject import read_subject

    if what.endswith((".yaml", ".yml")) or is_short_form(what):
        return read_subject(what)
    if what.endswith(".safetensors"):
        raise InvalidValue(
            f"{what} is a file with weights, and not a spec. To begin with its weights: zoo train SPEC --start-from {what}; "
            "for data of other classes publish it, and train its ref with --finetune."
        )
    with path_or_ref(what):
        subject = read_subject(what)
    if subject.version is not None:
        plan_for_version(subject.version)  # what it needs is said before any data are read
    return subject


@contextmanager
def path_or_ref(what: str) -> Iterator[None]:
    """Say of a word that turns out to be no ref what it is as a path, too.

    Raises:
        ZooError: The error that came, in other words; or the word is a spec, which is neither.
    """
    if _is_spec(what):
        command = f"{shlex.join(['zoo', 'train', what])} --data DATA"
        raise InvalidValue(
            f"{what[:200]!r} is a spec, which has no trained weights. Train it first: {command}"
        )
    try:
        yield
    except (InvalidRef, UnknownName) as error:
        reason = str(error).removeprefix(f"{what}: ").removeprefix(f"{what!r} is no ref: ")
        if os.path.isfile(os.path.join(what, "run.json")):
            if _is_bare(what):
                raise type(error)(f"{error} For the run in this folder, write ./{what}.") from None
            raise InvalidValue(
                f"{what} is the folder of a run. To go on with it: {shlex.join(['zoo', 'train', '--resume', what])}"
            ) from None
        if os.path.isdir(what):
            raise type(error)(
                f"{what} is a folder, but holds no run: it has no run.json. Nor is it a ref: {reason}"
            ) from None
        name = _is_bare(what) and (isinstance(error, UnknownName) or "@" in what)
        if name or os.path.exists(what):
            raise
        raise type(error)(
            f"There is no file and no folder {what[:200]!r}. Nor is it a ref: {reason}"
        ) from None


def _is_spec(what: str) -> bool:
    """Whether a word that is no file is a spec in the short form; a path may hold the signs of one."""
    from zoo.grammar import is_short_form, parse

    if not is_short_form(what):
        return False
    try:
        parse(what)
    except InvalidSpec:
        return False
    return True


def is_architecture(what: str) -> bool:
    """Whether a word names an architecture in the name space of a backbone, `timm/resnet18`."""
    from zoo.api import list_components

    space, _, name = what.partition("/")
    return bool(name) and f"{space}/*" in {one.name for one in list_components("backbone")}


def _build(data: Mapping[str, Any]) -> Model:
    from zoo.api import plan_for
    from zoo.composition.building import build
    from zoo.spec import Spec
    from zoo.weights import without_pretrained

    return build(plan_for(without_pretrained(Spec.from_data(data))))


def with_whole_input(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec whose input block has what its backbone asks for, and for the rest what stands for any data.

    Raises:
        InvalidSpec: It is for sequences, which have no usual number of channels.
    """
    from zoo.train.subject import asked_input, input_kinds

    asked = {"kind": input_kinds(spec)[0], **asked_input(spec)}
    whole = {**_UNSAID.get(asked["kind"], {}), **asked, **(spec.get("input") or {})}
    if whole["kind"] == "sequence" and "channels" not in whole:
        raise InvalidSpec(
            "The spec does not say how many channels its sequences have. In the short form: "
            "sequence(channels=3) -> BACKBONE + ..."
        )
    return {**spec, "input": whole}


def published_figures(what: str) -> dict[str, Any]:
    """The figures that a file or a registry says of a model, by `dataset/split/measure`."""
    return _said(what, "metrics")


def provenance(what: str) -> dict[str, Any]:
    """What a file or a registry says of where a model came from."""
    return _said(what, "provenance")


def _said(what: str, field: Literal["metrics", "provenance"]) -> dict[str, Any]:
    from zoo.api import describe

    file = file_of(what)
    if file is None:
        with path_or_ref(what):
            said: dict[str, Any] = getattr(describe(what), field)
        return said
    from zoo.weights import opened

    with opened(file) as weights:
        content = weights.metadata.get(field)
    return content if isinstance(content, dict) else {}


def file_of(what: str) -> Path | None:
    """The file that a word on the command line means, for the folder of a run its best model; None for a ref.

    Raises:
        InvalidValue: It is a YAML file, which holds no weights.
    """
    if what.endswith(".safetensors"):
        return Path(what)
    if _is_bare(what):
        return None
    if os.path.isfile(os.path.join(what, "run.json")):
        return Path(what, "best.safetensors")
    if not os.path.isfile(what):
        return None
    if what.endswith((".yaml", ".yml")):
        raise InvalidValue(
            f"{what} is a YAML file and holds no model; `zoo train {what} --data DATA` makes one of it."
        )
    return Path(what)


def _is_bare(what: str) -> bool:
    """Whether a word can only be a name, and no path."""
    return "/" not in what and "." not in what

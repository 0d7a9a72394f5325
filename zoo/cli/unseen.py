"""The splits that a training kept from a model, which are those to measure it on, and to keep when it goes on.

Splits that are made depend on a seed and on what is held out. Drawn otherwise than for the training, those to
measure on would have samples that the model was trained on.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from zoo.cli.data_arguments import data_request
from zoo.cli.terminal import complain
from zoo.errors import InvalidValue
from zoo.train.data import KNOWN
from zoo.train.data.request import CHOICES, DataRequest


class Trained(NamedTuple):
    """How the data of a training were divided.

    Attributes:
        what: The model or run, for messages.
        data: Name of the data; empty if it is not known.
        split_seed: Of the splits that were made; None if it is not known.
        hold_out: What was kept for the test alone.
        treatment: What was done with samples that cannot be read, or are in two splits.
    """

    what: str
    data: str = ""
    split_seed: int | None = None
    hold_out: str | None = None
    treatment: Mapping[str, str] = MappingProxyType({})


def trained(what: str, said: Any) -> Trained:
    """Read it from a file's provenance or a run's request; both may be anybody's, and say nothing of it."""
    said = said if isinstance(said, Mapping) else {}
    data, seed, held = (said.get(name) for name in ("data", "split_seed", "hold_out"))
    return Trained(
        what,
        data if isinstance(data, str) else "",
        seed if isinstance(seed, int) else None,
        held if isinstance(held, str) else None,
        {
            name: said[name]
            for name, choices in CHOICES.items()
            if isinstance(said.get(name), str) and said[name] in choices
        },
    )


def unseen_request(args: Namespace, before: Trained) -> DataRequest:
    """What the arguments say, divided as for the training.

    Raises:
        InvalidValue: The arguments ask for other splits than those of the training.
    """
    asked = _divided_as(before, args, "measure it on samples that it was trained on")
    if before.hold_out is not None and asked.hold_out is None:
        complain(
            "note",
            f"{before.what} was trained on {before.data} with {before.hold_out} held out; {_name(asked)} is taken for "
            "other data, and nothing of it is held out.",
        )
    return asked


def tell_of_seen(asked: DataRequest, before: Trained) -> None:
    """Say so where all samples of the data of a training are asked for."""
    if _is_of(before, asked):
        complain("note", f"among these samples are those that {before.what} was trained on.")


def kept_request(args: Namespace, before: Trained) -> DataRequest:
    """What the arguments say for another training of the model, divided as before if it is on the same data.

    Raises:
        InvalidValue: The arguments ask for other splits of them.
    """
    asked = data_request(args)
    if not _is_of(before, asked):
        return asked
    return _divided_as(before, args, "train it on samples that were kept to measure it on")


def choose(args: Namespace, models: Sequence[Trained]) -> list[Trained]:
    """For each of several models the training whose splits are the ones to measure it on.

    A model that was trained on other data, or nobody knows on which, is measured on the splits of the first
    that was trained on these.
    """
    known = [one for one in models if one.split_seed is not None]
    asked = data_request(args)
    known = [one for one in known if _is_of(one, asked)] or known
    return [one if one in known or not known else known[0] for one in models]


def _divided_as(before: Trained, args: Namespace, otherwise: str) -> DataRequest:
    from msgspec.structs import replace

    asked = data_request(args)
    if before.split_seed is None:
        return asked
    if args.split_seed not in (None, before.split_seed):
        had, other = f"--split-seed {before.split_seed}", f"--split-seed {args.split_seed}"
        raise _refused(before, had, other, otherwise)
    asked = replace(asked, split_seed=before.split_seed)
    if not _is_of(before, asked):
        return asked
    treatment = {name: way for name, way in before.treatment.items() if not getattr(args, name)}
    asked = replace(asked, **treatment)
    if asked.hold_out is None:
        return replace(asked, hold_out=before.hold_out)
    if asked.hold_out != (before.hold_out or _held_by_itself(asked)):
        had = f"--hold-out {before.hold_out}" if before.hold_out else "no --hold-out"
        raise _refused(before, had, f"--hold-out {asked.hold_out}", otherwise)
    return asked


def _refused(before: Trained, had: str, asked: str, otherwise: str) -> InvalidValue:
    return InvalidValue(
        f"{before.what} was trained with {had}; {asked} may {otherwise}. Leave the option out."
    )


def _is_of(before: Trained, asked: DataRequest) -> bool:
    """Whether the training was on these data; what was held out is a part of their name there."""
    held = before.hold_out or _held_by_itself(asked)
    return before.data == "-".join([_name(asked), *([held.replace("=", "-")] if held else [])])


def _held_by_itself(asked: DataRequest) -> str | None:
    """What the data hold out where nothing is said."""
    return "fold=0" if asked.what == "mr" else None


def _name(asked: DataRequest) -> str:
    from zoo.train.data.paths import name_at

    return asked.what if asked.what in KNOWN else name_at(Path(asked.what))

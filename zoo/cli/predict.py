"""`zoo predict`: classify images, sounds or texts with a variant or a file."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from shlex import quote
from typing import TYPE_CHECKING, Any

from zoo.cli.opening import open_model
from zoo.cli.terminal import complain, printable, say, say_json
from zoo.errors import InvalidValue, percent

if TYPE_CHECKING:
    from zoo.api import Prediction


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "what",
        metavar="MODEL",
        help="a ref, a .safetensors file that zoo.save wrote, or the folder of a run (runs/mine)",
    )
    parser.add_argument(
        "samples",
        metavar="SAMPLE",
        nargs="+",
        help='what the model takes: image files, WAV files, or texts in quotes (that of a file: "$(cat FILE)")',
    )
    parser.add_argument(
        "--top", type=int, default=5, metavar="N", help="how many classes to show (default: 5)"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def _note_files(texts: Sequence[str]) -> None:
    """Tell of texts that are names of files, whose content may have been meant."""
    for text in texts:
        if os.path.isfile(text):
            content = f'"$(cat {quote(text)})"'
            complain("note", f"{text!r} is classified as a text. For that of the file: {content}")


def run(args: Namespace) -> int:
    """Run the command."""
    from zoo.api import predict

    if args.top < 1:
        raise InvalidValue(f"--top is {args.top}; show at least 1 class.")
    model = open_model(args.what)
    if model.spec.input.kind == "text":
        _note_files(args.samples)
    found: list[tuple[str, list[Prediction] | InvalidValue]] = []
    for sample in args.samples:
        try:
            found.append((sample, predict(model, sample, top=args.top)))
        except InvalidValue as error:  # the others are answered
            found.append((sample, error))
    if args.json:
        say_json([_data(sample, answer) for sample, answer in found])
    else:
        _say([(sample, answer) for sample, answer in found if isinstance(answer, list)])
    bad = [(sample, str(answer)) for sample, answer in found if isinstance(answer, InvalidValue)]
    if len(bad) == len(found) > 1 and len({reason for _, reason in bad}) == 1:
        complain("error", bad[0][1])  # of the model, not of a sample
        return 2
    for sample, reason in bad:
        complain("error", reason if sample in reason else f"{sample}: {reason}")
    return 2 if bad else 0


def _say(answers: list[tuple[str, list[Prediction]]]) -> None:
    columns = max((len(printable(one.label)) for _, top in answers for one in top), default=0)
    for sample, top in answers:
        say(sample)
        for one in top:
            probability = percent(one.probability, digits=1)
            say(f"  {printable(one.label):<{columns}}  {probability:>7}")


def _data(sample: str, answer: list[Prediction] | InvalidValue) -> dict[str, Any]:
    if isinstance(answer, InvalidValue):
        return {"sample": sample, "error": str(answer)}
    return {"sample": sample, "predictions": [one._asdict() for one in answer]}

"""The parser of a command's words: argparse, with our errors and a quick start."""

from __future__ import annotations

from argparse import ArgumentParser, HelpFormatter
from collections.abc import Mapping
from typing import Any, NoReturn

from zoo.errors import InvalidValue, near_misses

_TIMES = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_UNITS = {"k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9}


def make_parser(program: str, summary: str) -> ArgumentParser:
    """Return a parser whose errors are `InvalidValue`."""
    return _Parser(
        prog=program,
        description=f"{summary[0].upper()}{summary[1:]}.",
        formatter_class=_Formatter,
        allow_abbrev=False,
    )


def add_threads(parser: ArgumentParser) -> None:
    """Add the option that `prepare_processor` takes."""
    parser.add_argument("--threads", type=int, metavar="N", help="of the CPU (default: all cores)")


def add_device(parser: ArgumentParser) -> None:
    """Add the option that `open_device` takes."""
    parser.add_argument("--device", default="cpu", help="e.g. cuda, cuda:1, mps (default: cpu)")


def add_actions(parser: ArgumentParser, summaries: Mapping[str, str]) -> dict[str, ArgumentParser]:
    """Give a command actions, `zoo COMMAND ACTION ...`; `args.action` then says which.

    Args:
        parser: The command's parser.
        summaries: What each action does.

    Returns:
        The parser of each action.
    """
    actions = parser.add_subparsers(
        dest="action", metavar="ACTION", required=True, help=", ".join(summaries)
    )
    return {
        name: actions.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        for name, summary in summaries.items()
    }


def whole_number(text: str, option: str) -> int:
    """Read a number of things such as `300k`, `1.5M` or `1000000`.

    Raises:
        InvalidValue: It is none.
    """
    from decimal import Decimal  # in which 1.1M is whole

    digits, unit = text.strip().replace("_", "").lower(), 1
    if digits and digits[-1] in _UNITS:
        digits, unit = digits[:-1].strip(), _UNITS[digits[-1]]
    try:
        number = Decimal(digits) * unit
        if number < 0:
            raise InvalidValue(f"{option}: {text!r} is too small. Give at least 0.")
        if number < 2**63 and number == int(number):
            return int(number)
    except (
        ArithmeticError
    ):  # it is no number, or `nan`, which cannot be compared, or beyond all bounds
        pass
    raise InvalidValue(
        f"{option}: {text!r} is no whole number. Write it like 300k, 1.5M or 1000000."
    )


def duration(text: str, option: str) -> float:
    """Read a time such as `90d`, `12h`, `30m` or `2w`, in seconds.

    Raises:
        InvalidValue: It is none.
    """
    number, unit = text.strip()[:-1], text.strip()[-1:]
    if unit not in _TIMES or not number.isascii() or not number.isdigit() or len(number) > 9:
        raise InvalidValue(f"{option}: {text!r} is no time. Write it like 90d, 12h, 30m or 2w.")
    return float(number) * _TIMES[unit]


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        hint = ""
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message and unknown.startswith("--"):
            name = unknown.split()[0].partition("=")[0]
            options = [option for option in self._option_string_actions if option.startswith("--")]
            hint = f" {near_misses(name, options)}"
        raise InvalidValue(f"{message}.{hint} See `{self.prog} --help`.")


class _Formatter(HelpFormatter):
    def __init__(self, prog: str, **options: Any) -> None:
        # argparse asks for the terminal's width with the module shutil, which takes long to import.
        from zoo.cli.terminal import width

        super().__init__(prog, **{"width": min(width() or 100, 100) - 2, **options})

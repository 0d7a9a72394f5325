"""The errors that zoo raises on purpose.

    ZooError
    ├── InvalidValue (also ValueError)     a value at hand is wrong: option, shape, spec, ref, command line
    │   ├── InvalidSpec                    a spec does not say a model that can be built
    │   └── InvalidRef                     a text is no ref
    ├── UnknownName (also LookupError)     a component, variant, version, slot or label that nobody offers
    ├── PluginError                        a plug-in is missing, broken, or clashes with another
    ├── RegistryError                      a registry cannot be read, or contradicts itself
    ├── WeightsError                       a file is not what it should be
    │   └── DigestMismatch                 ... its bytes are not the ones that were published
    ├── FetchError                         a file cannot be had from where it lies, or put there
    │   ├── NotFound                       ... there is none
    │   ├── AlreadyThere                   ... there is one already, or it was changed meanwhile
    │   ├── Unavailable                    ... not now; later it may
    │   └── Offline                        ... it is not cached, and the network is not to be used
    └── MissingExtra (also ImportError)    an optional dependency is not installed

A module may have one of its own where only its callers tell it apart: it descends from these, too.
A message says what was asked, what is wrong with the value at hand, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_SHOWN = 5


class ZooError(Exception):
    """Base of all errors that zoo raises on purpose."""


class InvalidValue(ZooError, ValueError):
    """A value is of the wrong type, out of its range, or does not fit the others."""


class InvalidSpec(InvalidValue):
    """A spec does not describe a model that can be built."""


class InvalidRef(InvalidValue):
    """A text is not of the form `name`, `name@1.2.0` or `name@sha256:<64 hex>`."""


class UnknownName(ZooError, LookupError):
    """Nobody offers what was asked for by name."""


class PluginError(ZooError):
    """A plug-in is missing, broken, or offers a name that another one offers too."""


class RegistryError(ZooError):
    """A registry cannot be read, or does not keep the rules."""


class WeightsError(ZooError):
    """A weights file is not a safetensors file of ours, or does not fit the model."""


class DigestMismatch(WeightsError):
    """The bytes of a file are not the ones that its digest names."""


class FetchError(ZooError):
    """A file cannot be read from a registry's place, or written to it."""


class NotFound(FetchError):
    """There is no such file at the place."""


class AlreadyThere(FetchError):
    """The file is there already, or is no longer the one that was to be replaced."""


class Unavailable(FetchError):
    """A place does not answer as it should; later it may.

    Args:
        message: What happened.
        retry_after: Seconds that the place asks to wait; None if it says nothing.
        absent: Whether there is no server at all, as far as can be told from here: waiting for it hardly helps.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, absent: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.absent = absent


class Offline(FetchError):
    """A file is not cached, and the network is switched off."""


class MissingExtra(ZooError, ImportError):
    """An optional dependency is not installed."""


def near_misses(name: str, known: Iterable[str], *, most: int = 8, total: int | None = None) -> str:
    """Return the end of an error message: the names like `name`, else all (at most `most`).

    Where there are too many to compare, `known` holds the likeliest and `total` says how many there are.
    """
    from difflib import get_close_matches

    names = sorted(set(known))
    if not names:
        return "There are none."
    close = get_close_matches(name, names, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    shown = ", ".join(map(repr, names[:most]))
    more = (total or len(names)) - most
    return f"Known: {shown}{f' and {more} more' if more > 0 else ''}."


def counted(number: int, thing: str, things: str | None = None) -> str:
    """Return how many there are of a thing, for a message: `1 sample`, `2,000 samples`.

    `things` is the plural where it takes more than an s.
    """
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"


def percent(share: float, digits: int = 2) -> str:
    """Return a share for people: `98.70 %`."""
    return f"{100 * share:.{digits}f} %"


def are(number: int) -> str:
    """Return the verb for so many things: `is` or `are`."""
    return "is" if number == 1 else "are"


def some(names: Sequence[str]) -> str:
    """Name a few of many, for a message."""
    rest = len(names) - _SHOWN
    return f"{', '.join(names[:_SHOWN])}{f' and {rest} more' if rest > 0 else ''}"


def no_model(asked: str, given: object) -> InvalidValue:
    """The error of a function that takes a model of ours and got something else."""
    inside = next((name for name in ("_orig_mod", "module") if hasattr(given, name)), None)
    mend = f" Give what is in it: model.{inside}." if inside else ""
    return InvalidValue(
        f"{asked} takes a model from zoo.create, zoo.compose or zoo.load; got {type(given).__name__}.{mend}"
    )


def first_line(error: Exception) -> str:
    """The first line of an error's message, with its type where it is not one of ours."""
    line = str(error).strip().partition("\n")[0]
    return line if isinstance(error, ZooError) else f"{type(error).__name__}: {line:.300}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is not enough memory: Python's, that of a GPU, or that of torch on a CPU."""
    named = any(cls.__name__ in ("MemoryError", "OutOfMemoryError") for cls in type(error).__mro__)
    return named or "can't allocate memory" in str(error)

"""Refs: texts that name a version, and the version numbers in them.

[REGISTRY/]NAME[@SELECTOR]     SELECTOR: 1 | 1.2 | 1.2.0 | 1.2.0-rc1 | sha256:<64 hex>
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from zoo.errors import InvalidRef

# Compiled when first used, which `zoo list` never does.
_NAME = r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z"
_INTEGER = r"(0|[1-9][0-9]{0,8})"
# As Semantic Versioning has it: numbers without leading zeros, so that unequal texts never compare equal.
_PRE = r"(?:(?:0|[1-9][0-9]{0,8})(?![0-9a-z])|(?=[0-9]*[a-z])[0-9a-z]{1,32})"
_NUMBER = rf"{_INTEGER}\.{_INTEGER}\.{_INTEGER}(?:-({_PRE}(?:\.{_PRE}){{0,7}}))?\Z"
_PARTIAL = rf"{_INTEGER}(?:\.{_INTEGER})?\Z"
_DIGEST = r"sha256:([0-9a-f]{64})\Z"

_FORMS = "Forms: name, name@1, name@1.2, name@1.2.0, name@sha256:<64 hex>, registry/name."


def check_name(name: str) -> str:
    """Return `name` if it can name a variant or registry: `lower_case_2`, at most 64 characters.

    Raises:
        InvalidRef: It cannot.
    """
    if len(name) > 64 or not re.match(_NAME, name):
        raise InvalidRef(
            f"{name[:80]!r} is no name: lower-case letters, digits and single underscores between them, "
            "beginning with a letter, at most 64 characters."
        )
    return name


class VersionNumber(NamedTuple):
    """`MAJOR.MINOR.PATCH[-PRE]`, ordered as in Semantic Versioning 2.0.0."""

    major: int
    minor: int
    patch: int
    pre: str = ""

    @classmethod
    def parse(cls, text: str) -> VersionNumber:
        """Read a complete number such as `1.2.0` or `2.0.0-rc1`.

        Raises:
            InvalidRef: The text is not of that form.
        """
        match = re.match(_NUMBER, text)
        if not match:
            raise InvalidRef(
                f"{text[:80]!r} is no version number: write MAJOR.MINOR.PATCH, e.g. '1.2.0' or '1.2.0-rc1'."
            )
        return cls(int(match[1]), int(match[2]), int(match[3]), match[4] or "")

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}{f'-{self.pre}' if self.pre else ''}"

    def __lt__(self, other: tuple[Any, ...]) -> bool:
        return _precedence(self) < _precedence(other)

    def __le__(self, other: tuple[Any, ...]) -> bool:
        return _precedence(self) <= _precedence(other)

    def __gt__(self, other: tuple[Any, ...]) -> bool:
        return _precedence(self) > _precedence(other)

    def __ge__(self, other: tuple[Any, ...]) -> bool:
        return _precedence(self) >= _precedence(other)


class Ref(NamedTuple):
    """A parsed ref. At most one of `major`, `number`, `digest` is set.

    Attributes:
        name: Name of the variant.
        registry: Name of the registry to look in; None means the first that knows the variant.
        major: `name@1` and `name@1.2`: the newest release of that line.
        minor: `name@1.2`: its second number.
        number: `name@1.2.0`: exactly this one.
        digest: `name@sha256:...`: exactly this blob, as 64 hex digits.
    """

    name: str
    registry: str | None = None
    major: int | None = None
    minor: int | None = None
    number: VersionNumber | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Ref:
        """Read a ref.

        Raises:
            InvalidRef: The text is none; the message says which part, and the forms there are.
        """
        if not isinstance(text, str):
            raise InvalidRef(f"A ref is a text, not {type(text).__name__}. {_FORMS}")
        place, at, selector = text.partition("@")
        registry, slash, name = place.rpartition("/")
        try:
            check_name(name)
            if slash:
                check_name(registry)
        except InvalidRef as error:
            from zoo.grammar import is_short_form

            if is_short_form(text):
                raise InvalidRef(
                    f"{text[:200]!r} is no ref but a spec in the short form. Compose it: zoo.compose(...)."
                ) from None
            raise InvalidRef(f"{text[:200]!r} is no ref: {error} {_FORMS}") from None
        if not at:
            return cls(name, registry or None)
        if digest := re.match(_DIGEST, selector):
            return cls(name, registry or None, digest=digest[1])
        if partial := re.match(_PARTIAL, selector):
            minor = int(partial[2]) if partial[2] else None
            return cls(name, registry or None, major=int(partial[1]), minor=minor)
        if re.match(_NUMBER, selector):
            return cls(name, registry or None, number=VersionNumber.parse(selector))
        raise InvalidRef(
            f"{text[:200]!r} is no ref: {selector[:80]!r} behind the @ is neither a version nor a digest. {_FORMS}"
        )

    def __str__(self) -> str:
        selector = ""
        if self.digest:
            selector = f"@sha256:{self.digest}"
        elif self.number:
            selector = f"@{self.number}"
        elif self.major is not None:
            selector = f"@{self.major}" + (f".{self.minor}" if self.minor is not None else "")
        return f"{self.registry + '/' if self.registry else ''}{self.name}{selector}"

    def allows(self, number: VersionNumber) -> bool:
        """Whether this ref, by its numbers alone, takes in the version `number`."""
        if self.number is not None:
            return number == self.number
        if self.major is not None and number.major != self.major:
            return False
        return self.minor is None or number.minor == self.minor


class ExactRef(NamedTuple):
    """What a ref came to: one version of one variant, in one registry, with the digest of its weights.

    Attributes:
        registry: Id of the registry.
        name: Name of the variant.
        number: The version's complete number; None for a cached blob that no registry names any more.
        sha256: Digest of its weights as 64 hex digits; None for a version without weights.
    """

    registry: str
    name: str
    number: VersionNumber | None
    sha256: str | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.number or f'sha256:{self.sha256}'}"


def _precedence(number: tuple[Any, ...]) -> tuple[int, int, int, bool, list[tuple[bool, int, str]]]:
    # A pre-release comes before its release; its parts compare as numbers where they are numbers, and
    # numbers come before words.
    major, minor, patch, pre = number
    parts = [
        (False, int(part), "") if part.isdigit() else (True, 0, part)
        for part in pre.split(".")
        if part
    ]
    return major, minor, patch, not pre, parts

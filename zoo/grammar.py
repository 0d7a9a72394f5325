"""The short form of a spec, for people: another way to write the same data.

    [INPUT ->] BACKBONE [+ ATTENTION@SLOT]... [+ HEAD] [-> classes(num_classes=10)]

    timm/resnet50 + cbam@branch(stages=3:4, reduction=8) + gem
    image(channels=1, size=[28, 28]) -> plain_cnn(widths=[32, 64]) + mhsa@last + avg(hidden=[128]) -> classes(num_classes=10)

Behind a name stand options in parentheses. A value is a bare word, or JSON; `3:4` is the list of the
numbers from 3 to 4. `stages` and `blocks` take a single number, too, and `blocks` takes `every:2`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from zoo.errors import InvalidSpec

if TYPE_CHECKING:
    from zoo.spec import Spec

_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[a-z][a-z0-9_]*(?:/[A-Za-z0-9_.]+)?")
_WORD = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE)
_RANGE = re.compile(r"(-?\d+):(-?\d+)")
_EVERY = re.compile(r"every:(\d+)")
_NOT_WORDS = ("true", "false", "null")
_PYTHON = {"True": "true", "False": "false", "None": "null"}  # which texts would be taken for
_DIGITS_LIMIT = 18
_RANGE_LIMIT = 1000  # no backbone has so many stages or blocks


def is_short_form(text: str) -> bool:
    """Whether a text is more than the name of a component or a ref: these hold none of its signs."""
    return any(sign in text for sign in ("+", "(", "->"))


def parse(text: str) -> dict[str, Any]:
    """Read the short form into the data of a spec. What the text does not say is left out.

    Raises:
        InvalidSpec: It is not of that form; the message points at the place.
    """
    return _Parser(text).spec()


def parse_attentions(text: str) -> list[dict[str, Any]]:
    """Read attentions with their slots, `se@branch + cbam@last(reduction=8)`, into blocks.

    Raises:
        InvalidSpec: It is not of that form, or says anything else; the message points at the place.
    """
    return _Parser(text).attentions()


def to_text(spec: Spec) -> str:
    """Write a spec in the short form, whole: `parse` gives data of an equal spec."""
    data = spec.to_data()
    terms = [_term(data["backbone"])]
    terms += [_term(block, slot=block["slot"]) for block in data.get("attention", [])]
    terms.append(_term(data["head"]))
    parts = [_term(data["input"], name="kind"), " + ".join(terms)]
    if len(data["output"]) > 1:
        parts.append(_term(data["output"], name="kind"))
    return " -> ".join(parts)


def _term(block: Mapping[str, Any], *, name: str = "name", slot: str | None = None) -> str:
    options = {
        key: value for key, value in block.items() if key not in (name, "slot" if slot else None)
    }
    written = ", ".join(f"{key}={_value(key, value)}" for key, value in options.items())
    return f"{block[name]}{f'@{slot}' if slot else ''}{f'({written})' if written else ''}"


def _value(key: str, value: Any) -> str:
    if key == "blocks" and isinstance(value, dict):
        return f"every:{value['every']}"
    if isinstance(value, str) and _WORD.fullmatch(value) and value not in (*_NOT_WORDS, *_PYTHON):
        return value
    return json.dumps(value, ensure_ascii=False)


class _Parser:
    """Reads the short form from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._skip()

    def spec(self) -> dict[str, Any]:
        first = self._term()
        data: dict[str, Any] = {}
        if self._take("->"):
            if first[1] is not None:
                self._fail("an input has no slot")
            data["input"] = {"kind": first[0], **first[2]}
            first = self._term()
        name, slot, options = first
        if slot is not None:
            self._fail("the first component is the backbone, which has no slot")
        data["backbone"] = {"name": name, **options}
        while self._take("+"):
            self._component(data)
        if self._take("->"):
            kind, _, options = self._term()
            data["output"] = {"kind": kind, **options}
        if self.at < len(self.text):
            self._fail("expected '+', '->' or the end")
        return data

    def attentions(self) -> list[dict[str, Any]]:
        found = []
        while True:
            name, slot, options = self._term()
            if slot is None:
                self._fail(f"expected '@' and a slot behind {name!r}, e.g. {name}@branch")
            found.append({"name": name, "slot": slot, **options})
            if not self._take("+"):
                break
        if self.at < len(self.text):
            self._fail("expected '+' or the end; only attentions stand here")
        return found

    def _component(self, data: dict[str, Any]) -> None:
        start = self.at
        name, slot, options = self._term()
        if slot is not None:
            data.setdefault("attention", []).append({"name": name, "slot": slot, **options})
        elif "head" in data:
            self.at = start
            first = data["head"]["name"]
            self._fail(
                f"{first!r} and {name!r} would both be the head; an attention says its slot, "
                f"e.g. {first}@branch"
            )
        else:
            data["head"] = {"name": name, **options}

    def _term(self) -> tuple[str, str | None, dict[str, Any]]:
        name = self._match(_NAME, "the name of a component")
        slot = self._match(_WORD, "the name of a slot") if self._take("@") else None
        options: dict[str, Any] = {}
        if self._take("("):
            while not self._take(")"):
                start = self.at
                key = self._match(_WORD, "the name of an option, or ')'")
                if key in options:
                    self.at = start
                    self._fail(f"the option {key!r} a second time")
                if not self._take("="):
                    self._fail(f"expected '=' behind {key!r}")
                options[key] = self._option_value()
                if not self._take(",") and self.text[self.at : self.at + 1] != ")":
                    self._fail("expected ',' or ')'")
        return name, slot, options

    def _option_value(self) -> Any:
        if match := _RANGE.match(self.text, self.at):
            first, last = self._integer(match[1]), self._integer(match[2])
            if first > last:
                self._fail(f"the range {match[0]} runs backwards")
            if last - first >= _RANGE_LIMIT:
                self._fail(f"the range {match[0]} has more than {_RANGE_LIMIT} numbers")
            self._move(match.end())
            return list(range(first, last + 1))
        if match := _EVERY.match(self.text, self.at):
            self._move(match.end())
            return {"every": self._integer(match[1])}
        word = _WORD.match(self.text, self.at)
        if word and word[0] in _PYTHON:
            self._fail(
                f"{word[0]} is written {_PYTHON[word[0]]} here, and as a text in double quotes"
            )
        if word and word[0] not in _NOT_WORDS:
            self._move(word.end())
            return word[0]
        try:
            value, end = json.JSONDecoder(parse_constant=_no_constant).raw_decode(
                self.text, self.at
            )
        except (ValueError, RecursionError):
            self._fail(
                "expected a value: a word, a number, true, false, null, a list, or a text in double quotes"
            )
        self._move(end)
        return value

    def _integer(self, text: str) -> int:
        if len(text) > _DIGITS_LIMIT:
            self._fail(f"a number of {len(text)} digits")
        return int(text)

    def _match(self, pattern: re.Pattern[str], what: str) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            self._fail(f"expected {what}")
        self._move(match.end())
        return match[0]

    def _take(self, symbol: str) -> bool:
        if not self.text.startswith(symbol, self.at):
            return False
        self._move(self.at + len(symbol))
        return True

    def _move(self, to: int) -> None:
        self.at = to
        self._skip()

    def _skip(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def _fail(self, what: str) -> NoReturn:
        shown = self.text.replace("\n", " ")
        raise InvalidSpec(
            f"The spec is not understood at character {self.at + 1}: {what}.\n    {shown}\n    {' ' * self.at}^"
        )


def _no_constant(constant: str) -> NoReturn:
    raise ValueError(constant)

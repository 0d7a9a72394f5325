"""The header of a component's file, by its words: Paper, Formula, Shapes, Mask, Cost, Differs.

The words stand at the start of a line, their text from column 9 on. `Cost` is written so that it can be read:

    Cost     2 C h parameters, 2 C h + C P multiply-adds, h = max(C // reduction, min_hidden);
             `use_bias=True`: C + h more parameters

C channels, P positions in all, H and W those of an axis (a sequence has H = 1); other letters are said, and
the names of options stand for their values. A sentence may follow.
"""

from __future__ import annotations

import inspect
import re
import sys
from typing import Any, NamedTuple

_SECTION = re.compile(r"^(?P<word>[A-Z][a-z]+) {2,}(?P<text>\S.*(?:\n +\S.*)*)", re.MULTILINE)
_COUNT = re.compile(r"(?P<count>.*) (?P<what>parameters?|multiply-adds?)")


class CostFormula(NamedTuple):
    """What a header says of costs.

    Attributes:
        options: Which options it is for, as in a call; empty for the defaults.
        parameters: How many there are, or with `more` or `fewer` at the end how many beside those of the
            defaults; empty where it says nothing.
        multiply_adds: As `parameters`.
        letters: What the other letters stand for.
    """

    options: str
    parameters: str
    multiply_adds: str
    letters: dict[str, str]


def header(cls: type[Any]) -> str:
    """The docstring of the module that a class is in, which is its specification; else that of the class."""
    module = sys.modules.get(cls.__module__)
    text = inspect.getdoc(module) if module and cls.__module__ != "__main__" else None
    return text or inspect.getdoc(cls) or ""


def sections(text: str) -> dict[str, str]:
    """The texts of a header by their words, each as one line."""
    return {found["word"]: " ".join(found["text"].split()) for found in _SECTION.finditer(text)}


def cost_formulas(text: str) -> list[CostFormula]:
    """Read the section `Cost`: the formula for the defaults, then those for other options."""
    return [_formula(statement.strip()) for statement in text.partition(". ")[0].split(";")]


def _formula(statement: str) -> CostFormula:
    options, _, rest = statement.rpartition("`: ")
    counts: dict[str, str] = {}
    letters: dict[str, str] = {}
    for clause in _clauses(rest):
        if found := _COUNT.fullmatch(clause):
            counts[found["what"].removesuffix("s")] = found["count"].replace("no", "0")
        elif " = " in clause:
            letter, _, value = clause.partition(" = ")
            letters[letter] = value
    return CostFormula(
        options=options.lstrip("`"),
        parameters=counts.get("parameter", ""),
        multiply_adds=counts.get("multiply-add", ""),
        letters=letters,
    )


def _clauses(text: str) -> list[str]:
    """Split at commas outside of brackets."""
    clauses, depth = [""], 0
    for sign in text:
        depth += (sign == "(") - (sign == ")")
        if sign == "," and depth == 0:
            clauses.append("")
        else:
            clauses[-1] += sign
    return [clause.strip() for clause in clauses]

"""Reading the header of a component's file."""

from __future__ import annotations

from zoo.headers import CostFormula, cost_formulas, header, sections

TEXT = """A gate: it weighs.

Paper    Somebody, "Something",
         somewhere
Formula  y = x
Cost     2 C h parameters, C P multiply-adds, h = max(C // r, 8), k = f(1, 2);
         `use_bias=True`: C + h more parameters; `a=1, b=2`: k fewer multiply-adds. Memory grows; a lot
"""


def test_sections_are_lines_by_word() -> None:
    """Each word has its text in one line; the first sentence belongs to none."""
    found = sections(TEXT)
    assert list(found) == ["Paper", "Formula", "Cost"]
    assert found["Paper"] == 'Somebody, "Something", somewhere'
    assert sections("No words\nhere.") == {}


def test_costs_are_read_statement_by_statement() -> None:
    """The defaults first, then options; brackets keep their commas, and a sentence behind is no formula."""
    assert cost_formulas(sections(TEXT)["Cost"]) == [
        CostFormula("", "2 C h", "C P", {"h": "max(C // r, 8)", "k": "f(1, 2)"}),
        CostFormula("use_bias=True", "C + h more", "", {}),
        CostFormula("a=1, b=2", "", "k fewer", {}),
    ]
    assert cost_formulas("no parameters, no multiply-adds") == [CostFormula("", "0", "0", {})]
    assert cost_formulas("next to nothing") == [CostFormula("", "", "", {})]


def test_the_header_is_the_module_s_or_the_class_s() -> None:
    """A class of a file is described by the file, one of a notebook by itself."""

    class Own:
        """A class."""

    assert header(Own) == __doc__
    Own.__module__ = "__main__"
    assert header(Own) == "A class."
    Own.__doc__ = None
    assert header(Own) == ""

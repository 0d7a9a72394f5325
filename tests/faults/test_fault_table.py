"""The table of faults in docs/faults.md names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "faults.md"

pytestmark = pytest.mark.skipif(not TABLE.is_file(), reason="needs the docs beside the tests")


def rows(text: str) -> list[tuple[str, str]]:
    """The file and name of the test in each row."""
    found = re.findall(r"^\| .+ \| `(test_\w+\.py)::(\w+)` \| .+ \|$", text, re.MULTILINE)
    assert len(found) == sum(line.startswith("| ") for line in text.splitlines()) - 5  # headings
    return found


def missing(text: str) -> list[str]:
    """The tests that a table names and that are not there."""
    absent = []
    for file, name in rows(text):
        path = HERE / file
        body = ast.parse(path.read_text()).body if path.is_file() else []
        if not any(isinstance(node, ast.FunctionDef) and node.name == name for node in body):
            absent.append(f"{file}::{name}")
    return absent


def test_every_test_that_the_table_names_exists() -> None:
    """A row whose test was renamed would promise what nobody checks."""
    text = TABLE.read_text()
    assert len(rows(text)) >= 95
    assert missing(text) == []


def test_a_row_without_a_test_is_found() -> None:
    """By the name of its file, and by its own."""
    text = TABLE.read_text()
    assert missing(text.replace("::test_tags`", "::test_rags`")) == [
        "test_index_faults.py::test_rags"
    ]
    gone = missing(text.replace("`test_plugin_faults.py::", "`test_plugin_vaults.py::"))
    assert len(gone) == 9

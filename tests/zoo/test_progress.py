"""The bar of a download: on a terminal, and only when something comes."""

from __future__ import annotations

import io
import sys

import pytest

from zoo.progress import progress_bar


class Terminal(io.StringIO):
    """What a user looks at."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_a_terminal_shows_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the name of what comes; the bar is taken away at the end."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_bar("a_net@1.0.0") as show:
        show(0, 10**6)
        show(10**6, 10**6)
    text = sys.stderr.getvalue()
    assert "a_net@1.0.0" in text
    assert "1.00M" in text
    assert text.endswith("\r")


def test_what_was_there_before_is_no_part_of_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A download that goes on where another one stopped."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_bar("a_net@1.0.0") as show:
        show(900_000, 10**6)
    first = sys.stderr.getvalue().split("\r")[1]
    assert "900k/1.00M" in first
    assert "?B/s" in first


def test_where_nobody_looks_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a log."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_bar("a_net@1.0.0") as show:
        show(1, 2)
    assert sys.stderr.getvalue() == ""


def test_what_is_here_already_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No bar of nothing."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_bar("a_net@1.0.0"):
        pass
    assert sys.stderr.getvalue() == ""

"""Waiting, trying again, and giving up."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from zoo.errors import FetchError, Unavailable
from zoo.store.patience import Patience, briskly, patiently


class Clock:
    """A clock that only sleeping moves; it writes down how long."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.slept.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of this test."""
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.sleep)
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    return clock


def test_pauses_double_up_to_the_longest(clock: Clock) -> None:
    """Each with some chance in it, so that many clients do not come at once."""

    def fail() -> None:
        raise Unavailable("busy.")

    patience = Patience(attempts=8, pause=1, longest_pause=10)
    with pytest.raises(Unavailable, match=r"busy\. Tried 8 times; try again later"):
        patiently(fail, patience)
    assert len(clock.slept) == 7
    for slept, most in zip(clock.slept, [1, 2, 4, 8, 10, 10, 10], strict=True):
        assert most / 2 <= slept <= most
    assert len(set(clock.slept)) == 7


def test_what_the_server_asks_for_is_the_least(clock: Clock) -> None:
    """Within what is waited for."""
    answers: list[Exception | int] = [Unavailable("", retry_after=60), 5]

    def act() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert patiently(act, Patience()) == 5
    assert clock.slept == [60]


def test_other_errors_are_not_tried_again(clock: Clock) -> None:
    """They would come again."""

    def fail() -> None:
        raise FetchError("the disk is full")

    with pytest.raises(FetchError, match="the disk is full"):
        patiently(fail, Patience())
    assert clock.slept == []


def test_attempts_that_get_on_do_not_count(clock: Clock) -> None:
    """Only those that do not, in a row."""
    done = 0

    def act() -> None:
        nonlocal done
        done += 100
        if done < 5000:
            raise Unavailable("broken")

    patiently(act, Patience(attempts=2, enough=100), done=lambda: done)
    assert len(clock.slept) == 49
    done = 0
    with pytest.raises(Unavailable, match="Tried 2 times"):
        patiently(act, Patience(attempts=2, enough=101), done=lambda: done)


def test_a_server_that_is_not_there_is_tried_once_more(clock: Clock) -> None:
    """Unless something came from it before: then it may be starting anew."""
    done = 0

    def act() -> None:
        nonlocal done
        done += done > 0 and not clock.slept
        raise Unavailable("refused.", absent=True)

    with pytest.raises(Unavailable, match=r"refused\. Tried 2 times"):
        patiently(act, Patience(), done=lambda: done)
    assert sum(clock.slept) <= 0.5
    clock.slept, done = [], 1
    with pytest.raises(Unavailable, match=r"refused\. Tried 5 times"):
        patiently(act, Patience(), done=lambda: done)


@pytest.mark.parametrize(("rate", "slow"), [(99, True), (101, False)])
def test_chunks_have_to_come_at_the_minimum_rate(clock: Clock, rate: int, slow: bool) -> None:
    """Over a window, for as long as they come."""

    def drip() -> Iterator[bytes]:
        for _ in range(100):
            clock.sleep(0.1)
            yield bytes(rate // 10 + (rate % 10 > clock.now * 10 % 10))

    chunks = briskly(drip(), Patience(minimum_rate=100, window=2), "file")
    if slow:
        with pytest.raises(Unavailable, match=r"file: \d+ bytes came in 2\.\d s"):
            list(chunks)
    else:
        assert len(list(chunks)) == 100


def test_only_waiting_for_chunks_counts(clock: Clock) -> None:
    """A slow disk on our side is not the server's fault."""
    seen = 0
    for chunk in briskly(iter([b"x"] * 10), Patience(minimum_rate=100, window=2), "file"):
        clock.sleep(5)
        seen += len(chunk)
    assert seen == 10

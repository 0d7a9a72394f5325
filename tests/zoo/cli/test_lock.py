"""`zoo lock`."""

from __future__ import annotations


def test_a_lock_is_printed_in_one_order(command, team, tmp_path):
    """What is printed can be written to a file, and is read again."""
    done = command("lock", "b_net", "team/a_net")
    assert (done.code, done.err) == (0, "")
    assert [line.split('"')[1] for line in done.out.splitlines()[3:]] == ["a_net", "b_net"]
    assert command("lock", "a_net@1.0.0", "b_net@2").out == done.out


def test_what_nobody_knows_is_not_locked(command, team):
    """Then nothing is printed that could be taken for a lock file."""
    done = command("lock", "a_net", "c_net")
    assert (done.code, done.out) == (2, "")
    assert "No variant is called 'c_net'" in done.err

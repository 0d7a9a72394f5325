"""`zoo verify`."""

from __future__ import annotations

import hashlib

import pytest

from zoo.store import blob_path

ONE = hashlib.sha256(b"one").hexdigest()


def damage(path):
    """Put other bytes in the place of a blob."""
    path.unlink()
    path.write_bytes(b"eno")


def test_verify_says_what_is_damaged_and_exits_with_1(command, team, cache):
    """Of the versions asked for, or of everything."""
    command("get", "a_net", "b_net")
    assert command("verify", "a_net", "team/b_net") == (
        0,
        "2 of 2 files are what they should be.\n",
        "",
    )
    assert command("verify", "a_net").out == "1 of 1 file is what it should be.\n"
    assert command("verify", "--all").code == 0
    damage(blob_path(cache, ONE))
    for words in (["a_net", "b_net"], ["--all"]):
        done = command("verify", *words)
        assert done.code == 1
        first, second, third = done.out.splitlines()
        assert first.startswith(f"damaged: {blob_path(cache, ONE)} has the sha256 ")
        assert first.endswith(f"it should have sha256 {ONE}")
        assert second.endswith(" should be.")
        assert len(words) == 1 or second == "1 of 2 files is what it should be."
        assert third.startswith("`zoo get REF` fetches again what is damaged in the cache; ")
    assert command("verify", "b_net").code == 0
    assert "Fetched anew" in command("get", "a_net").err
    assert command("verify", "--all").code == 0


@pytest.mark.parametrize("words", [[], ["a_net", "--all"]])
def test_verify_wants_refs_or_all(command, words):
    """Not both, and not nothing."""
    done = command("verify", *words)
    assert done.code == 2
    assert "Say what to verify: either refs, or --all." in done.err

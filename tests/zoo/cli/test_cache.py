"""`zoo cache`."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from zoo.store import blob_path

ONE, TWO = (hashlib.sha256(content).hexdigest() for content in (b"one", b"two"))


def test_the_cache_is_listed(command, team, cache):
    """With the refs that were used, for people and for programs."""
    assert command("cache", "path").out == f"{cache}\n"
    assert command("cache", "ls").out.startswith(f"There are no weights in {cache}.")
    command("get", "a_net", "b_net")
    done = command("cache", "ls")
    assert "a_net@1.0.0  3 B   less than a minute ago  " in done.out
    assert done.out.endswith(f"Files: 2, 6 B, in {cache}\n")
    rows = json.loads(command("cache", "ls", "--json").out)
    assert {row["sha256"]: row["refs"] for row in rows} == {
        ONE: ["a_net@1.0.0"],
        TWO: ["b_net@2.0.0"],
    }


def test_the_cache_is_pruned_by_age(command, team, cache):
    """What is deleted is fetched again when needed."""
    command("get", "a_net", "b_net")
    os.utime(blob_path(cache, ONE), (1, 1))
    done = command("cache", "prune", "--older", "90d")
    assert done == (0, "Deleted: weights 1 (3 B), indices 0.\n", "")
    assert not blob_path(cache, ONE).exists()
    assert blob_path(cache, TWO).exists()
    assert command("get", "a_net").code == 0
    assert team.asked_for("/blobs/") == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prune"], "the following arguments are required: --older"),
        (
            ["prune", "--older", "90"],
            "--older: '90' is no time. Write it like 90d, 12h, 30m or 2w.",
        ),
        (["prune", "--older", "-1d"], "argument --older: expected one argument"),
        (["prune", "--older", "d"], "'d' is no time"),
        (["prune", "--older", "1.5d"], "'1.5d' is no time"),
        (["prune", "--older", ""], "'' is no time"),
        (["clear"], "invalid choice: 'clear'"),
    ],
)
def test_wrong_words_are_one_error(command, words, message):
    """Nothing is deleted."""
    done = command("cache", *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err

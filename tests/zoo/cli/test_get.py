"""`zoo get`."""

from __future__ import annotations

import hashlib

from zoo.store import blob_path

ONE, TWO = (hashlib.sha256(content).hexdigest() for content in (b"one", b"two"))


def test_get_prints_where_each_is(command, team, cache):
    """One line a ref, for scripts; the second time nothing is fetched."""
    for _ in range(2):
        done = command("get", "team/a_net@1", "b_net")
        assert done == (0, f"{blob_path(cache, ONE)}\n{blob_path(cache, TWO)}\n", "")
    assert team.asked_for("/blobs/") == 2


def test_get_fails_with_what_there_is(command, team, monkeypatch):
    """An unknown name, and what is not cached while the network is switched off."""
    done = command("get", "a_nett")
    assert (done.code, done.out) == (2, "")
    assert "Did you mean 'a_net'" in done.err
    command("get", "a_net")
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    done = command("get", "b_net")
    assert (done.code, done.out) == (2, "")
    assert "ZOO_OFFLINE" in done.err
    assert done.err.endswith("Cached: a_net@1.0.0.\n")
    assert command("get", "a_net").code == 0


def test_get_obeys_a_lock(command, team, cache, tmp_path):
    """And refuses what it does not hold."""
    (tmp_path / "zoo.lock").write_text(command("lock", "a_net").out)
    done = command("get", "a_net", "--lock", str(tmp_path / "zoo.lock"))
    assert done.out == f"{blob_path(cache, ONE)}\n"
    done = command("get", "b_net", "--lock", str(tmp_path / "zoo.lock"))
    assert done.code == 2
    assert "zoo.lock does not hold 'b_net'" in done.err

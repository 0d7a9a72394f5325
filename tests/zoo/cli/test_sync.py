"""`zoo sync`."""

from __future__ import annotations

import hashlib

from zoo.store import blob_path

ONE, TWO = (hashlib.sha256(content).hexdigest() for content in (b"one", b"two"))


def test_sync_fetches_what_a_lock_holds(command, team, cache, tmp_path):
    """The road from one machine to another."""
    (tmp_path / "zoo.lock").write_text(command("lock", "b_net", "team/a_net").out)
    done = command("sync", str(tmp_path / "zoo.lock"))
    assert done == (0, f"{blob_path(cache, ONE)}\n{blob_path(cache, TWO)}\n", "")
    done = command("sync", str(tmp_path / "other.lock"))
    assert done.code == 2
    assert "other.lock cannot be read" in done.err

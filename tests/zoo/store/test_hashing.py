"""Hashing in a thread: the same digest, in bounded memory."""

from __future__ import annotations

import hashlib
import os
import threading

import pytest

from zoo.store.hashing import BackgroundSha256


@pytest.mark.parametrize("pieces", [0, 1, 7, 100])
def test_the_digest_is_that_of_the_pieces_in_their_order(pieces: int) -> None:
    """However many there are."""
    content = [os.urandom(1000 * number) for number in range(pieces)]
    digest = BackgroundSha256()
    for piece in content:
        digest.update(piece)
    assert digest.hexdigest() == hashlib.sha256(b"".join(content)).hexdigest()
    digest.close()


def test_it_goes_on_after_a_digest_and_begins_anew_after_a_reset() -> None:
    """As a download does that is resumed, or started over."""
    digest = BackgroundSha256()
    digest.update(b"a")
    assert digest.hexdigest() == hashlib.sha256(b"a").hexdigest()
    digest.update(b"b")
    assert digest.hexdigest() == hashlib.sha256(b"ab").hexdigest()
    digest.reset()
    assert digest.hexdigest() == hashlib.sha256(b"").hexdigest()
    digest.close()


def test_the_thread_ends() -> None:
    """No download leaves one behind."""
    before = threading.active_count()
    digest = BackgroundSha256()
    assert threading.active_count() == before + 1
    digest.close()
    assert threading.active_count() == before

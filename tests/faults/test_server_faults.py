"""Servers that misbehave: each ends in the right bytes or in a clear error, and never in wrong bytes."""

from __future__ import annotations

import gzip
import os
import socket
import ssl
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import trustme

from zoo import FetchError
from zoo.errors import DigestMismatch, NotFound, Unavailable
from zoo.store.cache import Cache
from zoo.store.fetching import fetch_blob, fetch_bytes
from zoo.store.http import HttpPlace
from zoo.store.patience import Patience

Serve = Callable[..., Any]
Exchange = Any  # of conftest.py, which cannot be imported
Blob = Any
Fetch = Callable[..., Path]

HALF = 1_500_000


@pytest.fixture
def fetch(blob: Blob, store: Cache, quick: Patience) -> Fetch:
    """Fetch the blob from a server, or a place, with little patience."""

    def run(server: Any, **arguments: Any) -> Path:
        place = server if hasattr(server, "open") else server.place()
        return fetch_blob(place, blob.sha256, blob.size, store, patience=quick, **arguments)

    return run


@pytest.fixture
def good(blob: Blob, store: Cache) -> Callable[[Path], bool]:
    """Whether a fetch ended well: the right bytes, where they belong, read-only, and nothing left over."""

    def check(path: Path) -> bool:
        left = [name for name in os.listdir(store.partial_folder) if name.endswith(".part")]
        return (
            path == store.find(blob.sha256)
            and path.read_bytes() == blob.content
            and path.stat().st_mode & 0o777 == 0o444
            and left == []
        )

    return check


def kept(store: Cache, blob: Blob) -> list[int]:
    """The sizes of unfinished files; each must be a beginning of the blob, and the blob not be there."""
    assert store.find(blob.sha256) is None
    files = list(store.partial_folder.glob("*.part"))
    assert all(blob.content.startswith(file.read_bytes()) for file in files)
    return [file.stat().st_size for file in files]


def leave(store: Cache, blob: Blob, content: bytes) -> Path:
    """Put an unfinished file there, as an earlier process would have left it."""
    store.partial_folder.mkdir(parents=True, exist_ok=True)
    path = store.partial_folder / f"{blob.sha256}.0123456789abcdef.part"
    path.write_bytes(content)
    return path


# A good server, to begin with


def test_a_good_server(serve: Serve, blob: Blob, fetch: Fetch, good: Any) -> None:
    """The progress begins at nothing, ends with the size, and never goes back."""
    seen: list[tuple[int, int]] = []
    server = serve(lambda exchange: exchange.answer(blob.content))
    path = fetch(server, progress=lambda done, total: seen.append((done, total)))
    assert good(path)
    assert server.requests[0].path == f"/{blob.name}"
    assert server.requests[0].headers["accept-encoding"] == "identity"
    assert "range" not in server.requests[0].headers
    assert seen[0] == (0, blob.size)
    assert seen[-1] == (blob.size, blob.size)
    assert seen == sorted(seen)


def test_what_is_cached_is_not_asked_for(serve: Serve, blob: Blob, fetch: Fetch) -> None:
    """Not even whether it is still the same: a digest says that."""
    server = serve(lambda exchange: exchange.answer(blob.content))
    assert fetch(server) == fetch(server)
    assert len(server.requests) == 1


def test_a_body_of_chunks(serve: Serve, blob: Blob, fetch: Fetch, good: Any) -> None:
    """With no length beforehand."""

    def chunked(exchange: Exchange) -> None:
        exchange.head(200, Transfer_Encoding="chunked")
        for at in range(0, blob.size, 100_000):
            piece = blob.content[at : at + 100_000]
            exchange.raw(b"%x\r\n%b\r\n" % (len(piece), piece))
        exchange.raw(b"0\r\n\r\n")

    assert good(fetch(serve(chunked)))


# Bodies that are too short


def test_a_body_cut_off_is_resumed(serve: Serve, blob: Blob, fetch: Fetch, good: Any) -> None:
    """Only the missing bytes are asked for."""

    def cut_once(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.head(200, Content_Length=blob.size)
            exchange.send(blob.content[:HALF])
        else:
            exchange.answer(blob.content)

    server = serve(cut_once)
    assert good(fetch(server))
    assert server.requests[1].start == HALF
    assert server.sent == blob.size


def test_a_body_cut_off_without_a_length_is_resumed(
    serve: Serve, blob: Blob, fetch: Fetch, good: Any
) -> None:
    """Nothing in HTTP tells that it is too short; the published size does."""

    def cut_once(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.head(200)
            exchange.send(blob.content[:HALF])
        else:
            exchange.answer(blob.content)

    server = serve(cut_once)
    assert good(fetch(server))
    assert server.requests[1].start == HALF


@pytest.mark.parametrize("length", ["with a length", "without"])
def test_a_body_always_cut_off_at_one_byte(
    serve: Serve, blob: Blob, fetch: Fetch, store: Cache, length: str
) -> None:
    """It is an error after some attempts that bring nothing, and what came is kept."""

    def cut(exchange: Exchange) -> None:
        headers: dict[str, Any] = {"Content_Length": blob.size - exchange.start}
        if exchange.start:
            headers["Content_Range"] = f"bytes {exchange.start}-{blob.size - 1}/{blob.size}"
        exchange.head(
            206 if exchange.start else 200, **(headers if length == "with a length" else {})
        )
        exchange.send(blob.content[exchange.start : HALF])

    with pytest.raises(Unavailable, match=rf"Tried 3 times.* {HALF} of {blob.size} bytes are kept"):
        fetch(serve(cut))
    assert kept(store, blob) == [HALF]


def test_the_next_run_resumes(
    serve: Serve, blob: Blob, fetch: Fetch, good: Any, store: Cache
) -> None:
    """It asks for the missing bytes, and gets exactly those."""
    left = leave(store, blob, blob.content[:HALF])
    server = serve(lambda exchange: exchange.answer(blob.content))
    path = fetch(server)
    assert server.sent == blob.size - HALF
    assert left.read_bytes() == blob.content[:HALF]  # somebody may still be writing it
    left.unlink()
    assert good(path)


def test_a_connection_that_is_reset_is_resumed(
    serve: Serve, blob: Blob, fetch: Fetch, good: Any
) -> None:
    """As by a server that crashes."""

    def reset_once(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.head(200, Content_Length=blob.size)
            exchange.send(blob.content[:HALF])
            exchange.reset()
        else:
            exchange.answer(blob.content)

    assert good(fetch(serve(reset_once)))


def test_as_many_breaks_as_there_are_pieces(
    serve: Serve, blob: Blob, fetch: Fetch, good: Any, quick: Patience, store: Cache
) -> None:
    """Attempts that get on do not count: a long file comes through a line that breaks often."""

    def breaks(exchange: Exchange) -> None:
        start = exchange.start
        exchange.head(
            206 if start else 200,
            Content_Length=blob.size - start,
            **({"Content_Range": f"bytes {start}-{blob.size - 1}/{blob.size}"} if start else {}),
        )
        exchange.send(blob.content[start : start + 400_000])

    server = serve(breaks)
    patience = quick._replace(enough=400_000)
    assert good(fetch_blob(server.place(), blob.sha256, blob.size, store, patience=patience))
    assert len(server.requests) == 10 > patience.attempts


# Bodies that are too long


def test_a_body_longer_than_published(serve: Serve, blob: Blob, fetch: Fetch, store: Cache) -> None:
    """It is refused by its length; nothing of it is kept."""
    server = serve(lambda exchange: exchange.answer(blob.content + b"more"))
    with pytest.raises(FetchError, match=rf"has {blob.size + 4} bytes where it lies; published"):
        fetch(server)
    assert kept(store, blob) == []
    assert len(server.requests) == 1


def test_a_body_shorter_than_published(
    serve: Serve, blob: Blob, fetch: Fetch, store: Cache
) -> None:
    """The same: it is another file, and to ask again is of no use."""
    server = serve(lambda exchange: exchange.answer(blob.content[:-1]))
    with pytest.raises(FetchError, match=rf"has {blob.size - 1} bytes where it lies; published"):
        fetch(server)
    assert len(server.requests) == 1


def test_an_endless_body(serve: Serve, blob: Blob, fetch: Fetch, store: Cache) -> None:
    """No more is read than was published, and what a connection holds."""

    def endless(exchange: Exchange) -> None:
        exchange.head(200)
        exchange.send(blob.content)
        while True:
            exchange.send(bytes(2**16))

    server = serve(endless)
    with pytest.raises(
        FetchError, match=f"goes on after the {blob.size} bytes that were published"
    ):
        fetch(server)
    server.stop()
    assert server.sent < blob.size + 2**24
    assert kept(store, blob) == []


def test_an_endless_index(serve: Serve, quick: Patience) -> None:
    """The cap holds while reading."""

    def endless(exchange: Exchange) -> None:
        exchange.head(200, Transfer_Encoding="chunked")
        while True:
            exchange.raw(b"11170\r\n" + b"# more\n" * 10_000 + b"\r\n")
            exchange.server.sent += 70_000

    server = serve(endless)
    with pytest.raises(FetchError, match="more than 100000 bytes, the most that are read"):
        fetch_bytes(server.place(), "registry.yaml", limit=100_000, patience=quick)
    server.stop()
    assert server.sent < 2**24


def test_an_index_without_a_length(serve: Serve, quick: Patience) -> None:
    """One that is cut off between two entries reads like a whole one, in which versions are missing."""

    def cut(exchange: Exchange) -> None:
        exchange.head(200)
        exchange.send(b"schema: 1\n")

    with pytest.raises(FetchError, match="comes without its length"):
        fetch_bytes(serve(cut).place(), "registry.yaml", limit=100, patience=quick)


@pytest.mark.parametrize("end", [b"", b"1f"])
def test_an_index_of_chunks_that_is_cut_off(serve: Serve, quick: Patience, end: bytes) -> None:
    """Chunks have an end of their own, so that this is seen."""

    def cut(exchange: Exchange) -> None:
        exchange.head(200, Transfer_Encoding="chunked")
        exchange.raw(b"a\r\nschema: 1\n\r\n" + end)

    with pytest.raises(Unavailable, match=r"the connection broke off.*Tried 3 times"):
        fetch_bytes(serve(cut).place(), "registry.yaml", limit=100, patience=quick)


def test_an_index_that_is_cut_off_is_fetched_again(serve: Serve, quick: Patience) -> None:
    """Whole, from its beginning."""

    def cut_once(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.head(200, Content_Length=11)
            exchange.send(b"schema")
        else:
            exchange.answer(b"schema: 1\n\n", etag='"a"')

    found = fetch_bytes(serve(cut_once).place(), "registry.yaml", limit=100, patience=quick)
    assert found == (b"schema: 1\n\n", '"a"')


# Servers that are slow


def test_a_stall_before_the_first_byte(serve: Serve, fetch: Fetch, quick: Patience) -> None:
    """After the time for an answer."""
    server = serve(lambda exchange: exchange.wait(30))
    begin = time.monotonic()
    with pytest.raises(Unavailable, match=r"did not go on in time.*Tried 3 times"):
        fetch(server.place(read=0.1))
    assert time.monotonic() - begin < 25


def test_a_stall_after_the_first_bytes(
    serve: Serve, blob: Blob, fetch: Fetch, store: Cache
) -> None:
    """The bytes are kept."""

    def stall(exchange: Exchange) -> None:
        if exchange.start == 0:
            exchange.head(200, Content_Length=blob.size)
            exchange.send(blob.content[:HALF])
        exchange.wait(30)

    with pytest.raises(Unavailable, match=rf"did not go on in time.* {HALF} of"):
        fetch(serve(stall).place(read=0.1))
    assert kept(store, blob) == [HALF]


def test_a_stall_that_ends(serve: Serve, blob: Blob, fetch: Fetch, good: Any) -> None:
    """The second attempt brings the rest."""

    def stall_once(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.head(200, Content_Length=blob.size)
            exchange.send(blob.content[:HALF])
            exchange.wait(30)
        exchange.answer(blob.content)

    assert good(fetch(serve(stall_once).place(read=0.2)))


def test_a_drip_of_one_byte_each_fifth_of_a_second(
    serve: Serve, blob: Blob, fetch: Fetch, store: Cache
) -> None:
    """No single wait is too long; together they are."""

    def drip(exchange: Exchange) -> None:
        start = exchange.start
        if start:
            exchange.head(206, Content_Range=f"bytes {start}-{blob.size - 1}/{blob.size}")
        else:
            exchange.head(200, Content_Length=blob.size)
        while not exchange.server.stopped.is_set():
            exchange.send(blob.content[start : start + 1])
            start += 1
            exchange.wait(0.2)

    begin = time.monotonic()
    with pytest.raises(Unavailable, match=r"bytes came in 0\.\d s, which is too slow to wait for"):
        fetch(serve(drip))
    assert time.monotonic() - begin < 25
    assert 1 <= kept(store, blob)[0] < 20


def test_a_drip_of_headers(serve: Serve, fetch: Fetch) -> None:
    """Each byte begins the socket's timeout anew; the head as a whole has one, too."""

    def drip(exchange: Exchange) -> None:
        exchange.raw(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not exchange.server.stopped.is_set():
            exchange.raw(b"x")
            exchange.wait(0.05)

    begin = time.monotonic()
    with pytest.raises(Unavailable, match="the server did not go on in time"):
        fetch(serve(drip).place(read=0.2))
    assert time.monotonic() - begin < 25


def test_a_drip_of_chunk_sizes(serve: Serve, fetch: Fetch) -> None:
    """What stands between the pieces of a body is none of its bytes, and has to come in time, too."""

    def drip(exchange: Exchange) -> None:
        exchange.head(200, Transfer_Encoding="chunked")
        exchange.raw(b"5")
        while not exchange.server.stopped.is_set():
            exchange.raw(b"0")
            exchange.wait(0.05)

    begin = time.monotonic()
    with pytest.raises(Unavailable, match="the server did not go on in time"):
        fetch(serve(drip).place(read=0.2))
    assert time.monotonic() - begin < 25


# Answers that are something else


def test_a_body_in_gzip(serve: Serve, blob: Blob, fetch: Fetch, store: Cache) -> None:
    """Nobody asked for it; it is not unpacked, and not asked for again."""
    packed = gzip.compress(blob.content, 1)
    server = serve(lambda exchange: exchange.answer(packed, Content_Encoding="gzip"))
    with pytest.raises(FetchError, match="comes in the encoding 'gzip', though none was asked for"):
        fetch(server)
    assert len(server.requests) == 1
    assert kept(store, blob) == []


def test_a_web_page_instead_of_the_file(
    serve: Serve, blob: Blob, fetch: Fetch, store: Cache
) -> None:
    """As hotels and companies send to those who have not logged in."""
    page = b"\n <!DOCTYPE html><html><title>Please log in</title>"
    server = serve(lambda exchange: exchange.answer(page, Content_Type="text/html"))
    with pytest.raises(FetchError, match="is a web page, not the file"):
        fetch(server)
    assert len(server.requests) == 1
    assert kept(store, blob) == []


def test_a_web_page_instead_of_the_index(serve: Serve, quick: Patience) -> None:
    """The same words: it would be told as broken YAML otherwise."""
    server = serve(lambda exchange: exchange.answer(b"<html><body>"))
    with pytest.raises(FetchError, match=r"registry.yaml is a web page, not the file"):
        fetch_bytes(server.place(), "registry.yaml", limit=1000, patience=quick)


def test_something_that_is_not_http(serve: Serve, fetch: Fetch) -> None:
    """Its text is shown without what would steer a terminal."""
    server = serve(lambda exchange: exchange.raw(b"\x1b[31mSSH-2.0-nothing\r\n\r\n"))
    with pytest.raises(Unavailable, match="the connection broke off") as caught:
        fetch(server)
    assert "\x1b" not in str(caught.value)


def test_two_lengths_that_contradict_each_other(serve: Serve, blob: Blob, fetch: Fetch) -> None:
    """As when somebody smuggles an answer."""

    def two(exchange: Exchange) -> None:
        exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n123456")

    with pytest.raises(FetchError, match="header that contradicts itself"):
        fetch(serve(two))


def test_a_file_that_is_not_there(serve: Serve, fetch: Fetch) -> None:
    """It is not asked for again."""
    server = serve(lambda exchange: exchange.head(404, Content_Length=0))
    with pytest.raises(NotFound, match=r"is not there \(404 Not Found\)"):
        fetch(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [204, 300, 304, 400, 418, 501, 799])
def test_a_status_that_brings_no_file(serve: Serve, fetch: Fetch, status: int) -> None:
    """Whatever it means, it is no file."""
    server = serve(lambda exchange: exchange.head(status, Content_Length=0))
    with pytest.raises(FetchError, match=f"answers {status}.*, which is no file"):
        fetch(server)


def test_other_bytes_of_the_same_size(serve: Serve, blob: Blob, fetch: Fetch, store: Cache) -> None:
    """One bit is enough; nothing is kept, and nothing asked for again."""
    wrong = bytearray(blob.content)
    wrong[HALF] ^= 1
    server = serve(lambda exchange: exchange.answer(bytes(wrong)))
    with pytest.raises(DigestMismatch, match=f"published were bytes with sha256 {blob.sha256}"):
        fetch(server)
    assert len(server.requests) == 1
    assert kept(store, blob) == []


# Ranges


def test_a_server_that_ignores_ranges(
    serve: Serve, blob: Blob, fetch: Fetch, good: Any, store: Cache
) -> None:
    """It sends all; all is taken, from the beginning."""
    left = leave(store, blob, blob.content[:HALF])

    def whole(exchange: Exchange) -> None:
        exchange.head(200, Content_Length=blob.size)
        exchange.send(blob.content)

    server = serve(whole)
    path = fetch(server)
    assert server.requests[0].start == HALF
    left.unlink()
    assert good(path)


@pytest.mark.parametrize(
    "given",
    ["bytes 0-99/3670016", "bytes 1500001-3670015/3670016", "bytes 5-1/3", "none", "bytes */9", ""],
)
def test_a_wrong_content_range(
    serve: Serve, blob: Blob, fetch: Fetch, good: Any, store: Cache, given: str
) -> None:
    """Ranges of such a server are not used: the file is asked for whole."""
    left = leave(store, blob, blob.content[:HALF])

    def wrong(exchange: Exchange) -> None:
        if exchange.start:
            exchange.head(206, Content_Length=100, Content_Range=given)
            exchange.send(blob.content[:100])
        else:
            exchange.answer(blob.content)

    server = serve(wrong)
    path = fetch(server)
    assert [exchange.start for exchange in server.requests] == [HALF, 0]
    left.unlink()
    assert good(path)


def test_a_range_that_was_not_asked_for(serve: Serve, blob: Blob, fetch: Fetch) -> None:
    """A part is not taken for the whole."""

    def part(exchange: Exchange) -> None:
        exchange.head(206, Content_Length=100, Content_Range=f"bytes 0-99/{blob.size}")
        exchange.send(blob.content[:100])

    with pytest.raises(FetchError, match="answers 206 Partial Content, which is no file"):
        fetch(serve(part))


def test_a_range_that_cannot_be_had(
    serve: Serve, blob: Blob, fetch: Fetch, good: Any, store: Cache
) -> None:
    """416 although the file is long enough: it is asked for whole."""
    left = leave(store, blob, blob.content[:HALF])

    def refuse(exchange: Exchange) -> None:
        if exchange.start:
            exchange.head(416, Content_Length=0)
        else:
            exchange.answer(blob.content)

    path = fetch(serve(refuse))
    left.unlink()
    assert good(path)


def test_416_without_end(serve: Serve, fetch: Fetch) -> None:
    """Even to those who ask for no range."""
    server = serve(lambda exchange: exchange.head(416, Content_Length=0))
    with pytest.raises(FetchError, match="answers 416"):
        fetch(server)


def test_a_shorter_range_than_asked_for(
    serve: Serve, blob: Blob, store: Cache, quick: Patience, good: Any
) -> None:
    """HTTP allows it; the rest is asked for then."""

    def little(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.head(200, Content_Length=blob.size)
            exchange.send(blob.content[:HALF])
            return
        start = exchange.start
        end = min(start + 800_000, blob.size)
        exchange.head(
            206, Content_Length=end - start, Content_Range=f"bytes {start}-{end - 1}/{blob.size}"
        )
        exchange.send(blob.content[start:end])

    server = serve(little)
    patience = quick._replace(enough=600_000)
    assert good(fetch_blob(server.place(), blob.sha256, blob.size, store, patience=patience))
    assert server.sent == blob.size


@pytest.mark.parametrize("surplus", [1, 10**6])
def test_an_unfinished_file_larger_than_the_blob(
    serve: Serve, blob: Blob, fetch: Fetch, store: Cache, surplus: int
) -> None:
    """It cannot be a beginning of the blob, and is left alone."""
    leave(store, blob, blob.content + bytes(surplus))
    server = serve(lambda exchange: exchange.answer(blob.content))
    assert fetch(server).read_bytes() == blob.content
    assert server.requests[0].start == 0


def test_an_unfinished_file_that_lacks_nothing(
    serve: Serve, blob: Blob, fetch: Fetch, store: Cache
) -> None:
    """As left by a process that ended just before the last step: nothing is asked for."""
    leave(store, blob, blob.content)
    server = serve(lambda exchange: exchange.answer(blob.content))
    assert fetch(server).read_bytes() == blob.content
    assert server.requests == []


@pytest.mark.parametrize("length", [HALF, 7 * 2**19])
def test_an_unfinished_file_with_other_bytes(
    serve: Serve, blob: Blob, fetch: Fetch, good: Any, store: Cache, length: int
) -> None:
    """It is found out at the end; the blob is fetched whole, and nobody begins with those bytes again."""
    leave(store, blob, b"?" * length)
    server = serve(lambda exchange: exchange.answer(blob.content))
    assert good(fetch(server))
    assert server.requests[-1].start == 0


@pytest.mark.parametrize("etags", [('"a"', '"b"'), (None, None), ('W/"a"', 'W/"b"')])
def test_a_file_changed_between_two_parts(
    serve: Serve, blob: Blob, fetch: Fetch, good: Any, etags: tuple[str | None, str | None]
) -> None:
    """Two halves of different files are never put together, whether the server tells of the change or not."""
    other = os.urandom(blob.size)

    def changing(exchange: Exchange) -> None:
        if exchange.number == 1:
            etag = {"ETag": etags[0]} if etags[0] else {}
            exchange.head(200, Content_Length=blob.size, **etag)
            exchange.send(other[:HALF])
        else:
            exchange.answer(blob.content, etag=etags[1])

    assert good(fetch(serve(changing)))


def test_a_file_changed_under_a_server_without_if_range(
    serve: Serve, blob: Blob, fetch: Fetch, good: Any
) -> None:
    """It gives the part of the other file, but with another ETag: what came before is dropped."""
    other = os.urandom(blob.size)

    def changing(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.head(200, Content_Length=blob.size, ETag='"a"')
            exchange.send(other[:HALF])
        else:
            exchange.headers.pop("if-range", None)
            exchange.answer(blob.content, etag='"b"')

    server = serve(changing)
    assert good(fetch(server))
    assert [exchange.start for exchange in server.requests] == [0, HALF, 0]


def test_a_part_without_the_etag_that_the_whole_had(
    serve: Serve, blob: Blob, fetch: Fetch, good: Any
) -> None:
    """Some servers forget it; that alone is no reason to begin anew, since the digest decides."""

    def forgetful(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.head(200, Content_Length=blob.size, ETag='"a"')
            exchange.send(blob.content[:HALF])
        else:
            exchange.answer(blob.content)

    server = serve(forgetful)
    assert good(fetch(server))
    assert server.sent == blob.size


# Servers that ask to come back


def test_503_three_times_and_then_success(
    serve: Serve, blob: Blob, store: Cache, quick: Patience, good: Any
) -> None:
    """With the attempts that zoo makes unless told otherwise."""

    def busy(exchange: Exchange) -> None:
        if exchange.number <= 3:
            exchange.head(503, Content_Length=0)
        else:
            exchange.answer(blob.content)

    server = serve(busy)
    patience = quick._replace(attempts=Patience().attempts)
    assert good(fetch_blob(server.place(), blob.sha256, blob.size, store, patience=patience))
    assert len(server.requests) == 4


def test_503_without_end(serve: Serve, fetch: Fetch) -> None:
    """It is an error after as many attempts as it should be."""
    server = serve(lambda exchange: exchange.head(503, Content_Length=0))
    with pytest.raises(Unavailable, match=r"503 Service Unavailable.*Tried 3 times"):
        fetch(server)
    assert len(server.requests) == 3


@pytest.mark.parametrize("form", ["seconds", "a time of day"])
def test_429_with_retry_after(serve: Serve, blob: Blob, fetch: Fetch, good: Any, form: str) -> None:
    """It is obeyed. A time of day is by the server's clock: this one is years behind."""
    server_time = 1_000_000_000.0

    def busy(exchange: Exchange) -> None:
        if exchange.number == 1:
            at = formatdate(server_time + 1, usegmt=True)
            asked = 1 if form == "seconds" else at
            date = formatdate(server_time, usegmt=True)
            exchange.head(429, Content_Length=0, Retry_After=asked, Date=date)
        else:
            exchange.answer(blob.content)

    begin = time.monotonic()
    assert good(fetch(serve(busy)))
    assert 1 <= time.monotonic() - begin < 25


@pytest.mark.parametrize("asked", ["86400", "999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_429_that_asks_to_wait_for_a_day(serve: Serve, fetch: Fetch, asked: str) -> None:
    """It is told to the user rather than waited for."""
    now = formatdate(usegmt=True)
    server = serve(lambda exchange: exchange.head(429, Retry_After=asked, Date=now))
    with pytest.raises(Unavailable, match=r"asks to wait \d+ s, too long") as caught:
        fetch(server)
    assert len(server.requests) == 1
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 3600


@pytest.mark.parametrize("asked", ["soon", "-5", "1e99", "", "Mon, 99 Xxx 2000"])
def test_429_with_a_retry_after_that_means_nothing(
    serve: Serve, blob: Blob, fetch: Fetch, good: Any, asked: str
) -> None:
    """It is as if there were none."""

    def busy(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.head(429, Content_Length=0, Retry_After=asked)
        else:
            exchange.answer(blob.content)

    assert good(fetch(serve(busy)))


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host(
    serve: Serve,
    blob: Blob,
    fetch: Fetch,
    good: Any,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is followed, as to a content network; the credentials stay behind."""
    monkeypatch.setenv("ZOO_TOKEN_TEAM", "secret-of-the-team")
    other = serve(lambda exchange: exchange.answer(blob.content))
    target = f"{other.address}/elsewhere?signature=1"
    server = serve(lambda exchange: exchange.head(status, Location=target, Content_Length=0))
    assert good(fetch(server.place(registry="team")))
    assert server.requests[0].headers["authorization"] == "Bearer secret-of-the-team"
    assert other.requests[0].path == "/elsewhere?signature=1"
    assert "authorization" not in other.requests[0].headers
    assert "cookie" not in other.requests[0].headers


def test_a_redirect_keeps_the_range(serve: Serve, blob: Blob, fetch: Fetch, store: Cache) -> None:
    """Resuming works behind one, too."""
    leave(store, blob, blob.content[:HALF])
    other = serve(lambda exchange: exchange.answer(blob.content))
    server = serve(lambda exchange: exchange.head(302, Location=f"{other.address}/x"))
    assert fetch(server).read_bytes() == blob.content
    assert other.requests[0].start == HALF


def test_five_redirects_are_followed(serve: Serve, blob: Blob, fetch: Fetch, good: Any) -> None:
    """Within one host, by a path alone."""

    def hop(exchange: Exchange) -> None:
        if exchange.number <= 5:
            exchange.head(302, Location=f"/hop/{exchange.number}", Content_Length=0)
        else:
            exchange.answer(blob.content)

    assert good(fetch(serve(hop)))


def test_redirects_in_a_loop(serve: Serve, fetch: Fetch) -> None:
    """The sixth is not followed."""
    server = serve(lambda exchange: exchange.head(302, Location=exchange.path, Content_Length=0))
    with pytest.raises(FetchError, match="redirects more than 5 times"):
        fetch(server)
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "gopher://x", "http://[::1", None],
)
def test_a_redirect_to_no_web_address(serve: Serve, fetch: Fetch, location: str | None) -> None:
    """Least of all to a file of this machine."""
    headers = {} if location is None else {"Location": location}
    server = serve(lambda exchange: exchange.head(302, Content_Length=0, **headers))
    with pytest.raises(FetchError, match=r"redirects to .*(is no web|Invalid)|redirect to nowhere"):
        fetch(server)


def test_a_redirect_with_a_user(serve: Serve, fetch: Fetch) -> None:
    """The password in it is not shown."""
    server = serve(lambda exchange: exchange.head(302, Location="http://me:hidden@127.0.0.1:1/x"))
    with pytest.raises(FetchError, match="names a user") as caught:
        fetch(server)
    assert "hidden" not in str(caught.value)


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What an https server of this machine needs; the clients of this test trust it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return context


def test_https(serve: Serve, blob: Blob, fetch: Fetch, good: Any, tls: ssl.SSLContext) -> None:
    """With a certificate that is trusted."""
    assert good(fetch(serve(lambda exchange: exchange.answer(blob.content), tls).place(read=5)))


def test_a_redirect_from_https_to_http(
    serve: Serve, blob: Blob, fetch: Fetch, tls: ssl.SSLContext
) -> None:
    """Not one byte is asked for in the clear."""
    plain = serve(lambda exchange: exchange.answer(blob.content))
    server = serve(lambda exchange: exchange.head(302, Location=plain.address), tls)
    with pytest.raises(FetchError, match=r"redirects from https to .* That is not followed"):
        fetch(server.place(read=5))
    assert plain.requests == []


def test_a_certificate_that_nobody_vouches_for(
    serve: Serve, blob: Blob, fetch: Fetch, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused at once, and nothing is sent."""
    monkeypatch.delenv("SSL_CERT_FILE")
    server = serve(lambda exchange: exchange.answer(blob.content), tls)
    with pytest.raises(FetchError, match="certificate is not valid"):
        fetch(server.place(read=5))
    assert server.requests == []


# Servers that cannot be reached


def test_a_port_where_nobody_listens(serve: Serve, blob: Blob, fetch: Fetch) -> None:
    """With the reason that the system gives, after one more attempt and no more."""
    server = serve(lambda exchange: exchange.answer(blob.content))
    server.stop()
    with pytest.raises(Unavailable, match=r"cannot be reached: .*refused.*Tried 2 times"):
        fetch(HttpPlace(server.address))


def test_a_proxy_that_does_not_listen(
    serve: Serve, blob: Blob, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is as if the server were not there."""
    server = serve(lambda exchange: exchange.answer(blob.content))
    server.stop()
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, server.address)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Unavailable, match=r"the proxy .*refused.*Tried 2 times"):
        fetch(HttpPlace("http://models.example.org/zoo"))


def test_a_server_that_goes_away_in_the_middle(
    serve: Serve, blob: Blob, fetch: Fetch, store: Cache
) -> None:
    """It may be starting anew, so it is waited for; what came is kept."""

    def leave_early(exchange: Exchange) -> None:
        exchange.head(200, Content_Length=blob.size)
        exchange.send(blob.content[:HALF])
        server.close_port()

    server = serve(leave_early)
    with pytest.raises(Unavailable, match=r"cannot be reached: .*refused.*Tried 3 times"):
        fetch(server)
    assert kept(store, blob) == [HALF]


def test_a_host_that_does_not_exist(fetch: Fetch) -> None:
    """The user learns which of the two it may be, and soon where the name service knows that there is none."""
    with pytest.raises(Unavailable, match=r"name is not known here\. Is the address right"):
        fetch(HttpPlace("http://nowhere.invalid/zoo"))
    for reason, attempts in ((socket.EAI_NONAME, 2), (socket.EAI_AGAIN, 3)):
        unknown = mock.patch("socket.getaddrinfo", side_effect=socket.gaierror(reason, ""))
        with unknown, pytest.raises(Unavailable, match=f"not known here.*Tried {attempts} times"):
            fetch(HttpPlace("http://nowhere.invalid/zoo"))


# Messages


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 \x1b[2J\r\n\r\n",
        b"HTTP/1.1 200 X\r\nContent-Encoding: \x1b[2J\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 X\r\nContent-Length: 1\r\nContent-Length: \x1b[2J\r\n\r\nx",
        b"HTTP/1.1 302 X\r\nLocation: ftp://\x1b[2J/\x1b[2J\r\n\r\n",
        b"HTTP/1.1 302 X\r\nLocation: http://a@\x1b[2J/\r\n\r\n",
        b"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:9/\x1b[2J\r\n\r\n",
        b"HTTP/1.1 302 X\r\nLocation: http://\x1b[2J/\r\n\r\n",
        b"HTTP/\x1b[2J\r\n\r\n",
        b"\x1b[2J\r\n\r\n",
    ],
)
def test_escapes_in_what_a_server_says(serve: Serve, fetch: Fetch, answer: bytes) -> None:
    """None of them reaches a terminal by way of a message."""
    with pytest.raises(FetchError, match=r"127|blobs") as caught:
        fetch(serve(lambda exchange: exchange.raw(answer)))
    assert str(caught.value).isprintable()

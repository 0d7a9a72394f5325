"""`s3://`: a bucket of a real S3 server process on this machine (moto's); what needs none, for all three stores."""

from __future__ import annotations

import hashlib
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from zoo_cloud.place import CloudPlace, _in_short

import zoo
from zoo.plugins import catalog
from zoo.store.cache import Cache
from zoo.store.fetching import fetch_blob

INDEX = b"schema: 1\nid: ours\nserial: 1\nvariants: {}\n"


def content(body: zoo.Body) -> bytes:
    """All that a body brings."""
    return b"".join(body.chunks)


def test_the_schemes_are_offered() -> None:
    """The three stores come through one class."""
    assert {catalog().transport(scheme).load() for scheme in ("s3", "gs", "az")} == {CloudPlace}


def test_a_file_is_made_once(base: str) -> None:
    """It is read back whole, with its size; a second one is refused and changes nothing."""
    place = CloudPlace(base)
    place.create("registry.yaml", INDEX)
    with pytest.raises(zoo.AlreadyThere, match=f"{base}/registry.yaml is there already"):
        place.create("registry.yaml", b"another")
    body = place.open("registry.yaml")
    assert (content(body), body.start, body.size) == (INDEX, 0, len(INDEX))


def test_a_file_is_replaced_as_it_was_read(base: str) -> None:
    """Who has read the newest replaces it; who has read an older one is refused and loses nothing."""
    first, second = CloudPlace(base), CloudPlace(f"{base}/")
    first.create("registry.yaml", INDEX)
    read = [place.open("registry.yaml").validator for place in (first, second)]
    assert read[0] is not None
    assert read[1] is not None
    second.replace("registry.yaml", b"of the second", validator=read[1])
    with pytest.raises(zoo.AlreadyThere, match="was changed meanwhile"):
        first.replace("registry.yaml", b"of the first", validator=read[0])
    assert content(first.open("registry.yaml")) == b"of the second"


def test_of_many_writers_at_once_one_wins(base: str) -> None:
    """Creating and replacing are decided by the store, not by who looked."""
    won: list[int] = []

    def write(number: int) -> None:
        try:
            CloudPlace(base).create("registry.yaml", str(number).encode())
        except zoo.AlreadyThere:
            return
        won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert content(CloudPlace(base).open("registry.yaml")) == str(won[0]).encode()


def test_reading_goes_on_in_the_middle(base: str) -> None:
    """If it is still that file; else from the beginning of the new one, as where there is nothing behind."""
    place = CloudPlace(base)
    data = bytes(range(256)) * 10_000
    place.create("blob", data)
    body = place.open("blob")
    assert max(map(len, body.chunks)) <= 2**22
    validator = body.validator
    assert validator is not None
    body = place.open("blob", start=2_000_000, validator=validator)
    assert (body.start, body.size, content(body)) == (2_000_000, len(data), data[2_000_000:])
    place.replace("blob", data[::-1], validator=validator)
    body = place.open("blob", start=2_000_000, validator=validator)
    assert (body.start, content(body)) == (0, data[::-1])
    for start in (len(data), len(data) + 1):
        assert place.open("blob", start=start).start == 0


def test_a_store_without_tags_is_read_on_from(base: str) -> None:
    """What it gives instead is no condition for reading; the digest is checked in the end."""
    place = CloudPlace(base)
    place.create("blob", b"0123456789")
    body = place.open("blob", start=4, validator='{"version": "1"}')
    assert (body.start, content(body)) == (4, b"456789")


def test_a_blob_is_fetched_into_the_cache(base: str, cache: Path) -> None:
    """Through all that zoo does to a download; bytes that are not those published are refused."""
    place, data = CloudPlace(base), bytes(range(256)) * 10_000
    sha256 = hashlib.sha256(data).hexdigest()
    place.create(f"blobs/sha256/{sha256[:2]}/{sha256}", data)
    path = fetch_blob(place, sha256, len(data), Cache(cache))
    assert path.read_bytes() == data
    other = hashlib.sha256(b"other").hexdigest()
    place.create(f"blobs/sha256/{other[:2]}/{other}", b"wrong")
    with pytest.raises(zoo.DigestMismatch, match=other[:12]):
        fetch_blob(place, other, 5, Cache(cache))


def test_what_is_not_there_is_told(base: str) -> None:
    """The file, or the bucket."""
    with pytest.raises(zoo.NotFound, match=f"There is no {base}/registry.yaml"):
        CloudPlace(base).open("registry.yaml")
    with pytest.raises(zoo.NotFound, match="There is no s3://nobodys/zoo/"):
        CloudPlace("s3://nobodys/zoo").open("registry.yaml")


def test_a_server_that_does_not_answer_is_for_later(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading and writing both."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for act in (lambda place: place.open("x"), lambda place: place.create("x", b"")):
        with pytest.raises(zoo.Unavailable, match=f"{base}/x: Generic S3 error"):
            act(CloudPlace(base))


def test_an_endpoint_without_tls_needs_a_word(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the environment allows it, nothing goes over plain HTTP."""
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    with pytest.raises(zoo.InvalidValue, match="AWS_ENDPOINT_URL is without TLS"):
        CloudPlace(base)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    with pytest.raises(zoo.NotFound, match="There is no"):
        CloudPlace(base).open("registry.yaml")


@pytest.mark.parametrize(
    "base",
    ["s3://", "s3:///folder", "s3://user:pw@bucket/x", "s3://bucket/x?y", "s3://bucket/x#y", "s3://b c/x", "http://x/y",
     "s3://bucket/x\n", "s3:bucket"],
)  # fmt: skip
def test_other_addresses_are_refused(base: str) -> None:
    """With the form that is right."""
    with pytest.raises(
        zoo.InvalidValue, match="names no folder of a bucket; write s3://bucket/folder"
    ):
        CloudPlace(base)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The schemes are known, the library is missing."""
    monkeypatch.setitem(sys.modules, "obstore.exceptions", None)
    with pytest.raises(zoo.MissingExtra, match=r"pip install 'attn-zoo\[cloud\]'"):
        CloudPlace("gs://bucket/zoo")


def test_signatures_are_not_shown() -> None:
    """Addresses of some stores carry a key in their query."""
    error = Exception("GET https://x.blob.example/y?sv=1&sig=secret failed\nDebug source: secret")
    assert _in_short(error) == "GET https://x.blob.example/y?... failed"


@pytest.mark.parametrize("base", ["gs://bucket/zoo", "az://account/container/zoo"])
def test_the_other_stores_are_opened_from_the_environment(
    base: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No connection is made, so this says only that their addresses are understood."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    place: Any = CloudPlace(base)
    assert place._reader.__class__.__name__ == (
        "GCSStore" if base.startswith("gs") else "AzureStore"
    )

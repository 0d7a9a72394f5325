"""`hf://`: files of a repository, from a stand-in of the hub."""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import pytest
from zoo_hub.place import HubPlace

import zoo
from zoo.plugins import catalog
from zoo.store.cache import Cache
from zoo.store.fetching import fetch_blob
from zoo.store.patience import PATIENCE

BLOB = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(BLOB).hexdigest()
PATH = f"blobs/sha256/{SHA256[:2]}/{SHA256}"
INDEX = b"schema: 1\nid: ours\nserial: 1\nvariants: {}\n"


@pytest.fixture
def place(hub: Any) -> HubPlace:
    """A repository with an index and a blob."""
    hub.files["org/models", "main", "registry.yaml"] = INDEX
    hub.files["org/models", "main", PATH] = BLOB
    return HubPlace("hf://org/models")


def content(body: zoo.Body) -> bytes:
    """All that a body brings."""
    return b"".join(body.chunks)


def test_the_scheme_is_offered() -> None:
    """`hf://` is brought by this plug-in."""
    assert catalog().transport("hf").load() is HubPlace


def test_a_small_file_is_read(place: HubPlace) -> None:
    """With its size, and a text that changes with it."""
    body = place.open("registry.yaml")
    assert (content(body), body.start, body.size) == (INDEX, 0, len(INDEX))
    assert body.validator == f'"{hashlib.sha256(INDEX).hexdigest()}"'


def test_a_large_file_is_read_from_where_it_lies(place: HubPlace) -> None:
    """The redirect is followed; the pieces are small."""
    body = place.open(PATH)
    pieces = list(body.chunks)
    assert b"".join(pieces) == BLOB
    assert max(map(len, pieces)) <= 2**20
    assert body.size == len(BLOB)


def test_reading_goes_on_in_the_middle(place: HubPlace, hub: Any) -> None:
    """Only the rest is sent, if it is still that file; else all of the new one."""
    validator = place.open(PATH).validator
    body = place.open(PATH, start=1_000_000, validator=validator)
    assert (body.start, body.size, content(body)) == (1_000_000, len(BLOB), BLOB[1_000_000:])
    hub.files["org/models", "main", PATH] = BLOB[::-1]
    body = place.open(PATH, start=1_000_000, validator=validator)
    assert (body.start, content(body)) == (0, BLOB[::-1])
    body = place.open(PATH, start=len(BLOB) + 5)
    assert (body.start, content(body)) == (0, BLOB[::-1])


def test_a_blob_is_fetched_into_the_cache(place: HubPlace, hub: Any, cache: Any) -> None:
    """Through all that zoo does to a download; bytes that are not those published are refused."""
    path = fetch_blob(place, SHA256, len(BLOB), Cache(cache))
    assert path.read_bytes() == BLOB
    path.unlink()
    hub.files["org/models", "main", PATH] = BLOB[::-1]
    with pytest.raises(zoo.DigestMismatch, match=SHA256[:12]):
        fetch_blob(place, SHA256, len(BLOB), Cache(cache))


def test_revisions(hub: Any) -> None:
    """A branch, a commit, a pull request: each is its own place."""
    for revision in ("main", "v2", "refs/pr/1"):
        hub.files["org/models", revision, "registry.yaml"] = revision.encode()
    assert content(HubPlace("hf://org/models").open("registry.yaml")) == b"main"
    assert content(HubPlace("hf://org/models@v2").open("registry.yaml")) == b"v2"
    assert content(HubPlace("hf://org/models@refs/pr/1/").open("registry.yaml")) == b"refs/pr/1"


def test_the_token_stays_with_the_hub(
    place: HubPlace, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opens a private repository, and is not sent on to the host that holds the bytes."""
    hub.token = "hf_of_mine"
    with pytest.raises(zoo.NotFound, match="is private and no token of yours opens it"):
        place.open("registry.yaml")
    monkeypatch.setenv("HF_TOKEN", "hf_of_mine")
    hub.asked.clear()
    assert content(place.open(PATH)) == BLOB
    tokens = {host: headers.get("authorization") for host, _, headers in hub.asked}
    assert tokens == {"hub": "Bearer hf_of_mine", "storage": None}


@pytest.mark.parametrize(
    ("base", "path"),
    [("hf://org/nothing", "registry.yaml"), ("hf://org/models@v9", "registry.yaml"), ("hf://org/models", "none")],
)  # fmt: skip
def test_what_is_not_there_is_told(place: HubPlace, base: str, path: str) -> None:
    """The repository, the revision or the file."""
    with pytest.raises(zoo.NotFound, match=f"There is no {base}/{path}"):
        HubPlace(base).open(path)


@pytest.mark.parametrize(
    ("status", "headers", "error", "message"),
    [
        (503, {}, zoo.Unavailable, "the hub answers 503"),
        (429, {"Retry-After": "7"}, zoo.Unavailable, "the hub answers 429"),
        (403, {}, zoo.FetchError, "the hub answers 403"),
        (403, {"X-Error-Code": "GatedRepo"}, zoo.FetchError, "asks for consent: accept its terms"),
        (404, {}, zoo.NotFound, "There is no hf://org/models/registry.yaml"),
        (200, {"Content-Encoding": "gzip"}, zoo.FetchError, "comes as 'gzip', which was not asked for"),
        (302, {"Location": "/org/models/resolve/main/registry.yaml"}, zoo.Unavailable, "redirect"),
    ],
)  # fmt: skip
def test_refusals_become_errors(
    place: HubPlace, hub: Any, status: int, headers: dict[str, str], error: Any, message: str
) -> None:
    """Each with what can be done: wait, log in, look elsewhere."""
    hub.faults["registry.yaml"] = (status, headers)
    with pytest.raises(error, match=message) as caught:
        place.open("registry.yaml")
    assert getattr(caught.value, "retry_after", None) == (7 if status == 429 else None)


@pytest.mark.parametrize("said", ["bytes ?", "bytes 7-9/43", ""])
def test_a_part_that_is_another_one_is_refused(place: HubPlace, hub: Any, said: str) -> None:
    """The whole is asked for instead; who sends a part even then is refused."""
    hub.faults["registry.yaml"] = (206, {"Content-Range": said})
    with pytest.raises(zoo.FetchError, match="the hub answers 206"):
        place.open("registry.yaml", start=5)
    assert ["range" in headers for _, _, headers in hub.asked] == [True, False]


def test_a_hub_that_knows_no_end_is_given_up(place: HubPlace, hub: Any) -> None:
    """One that has no such bytes, not even the first."""
    hub.faults["registry.yaml"] = (416, {})
    with pytest.raises(zoo.FetchError, match="the hub answers 416"):
        place.open("registry.yaml", start=5)
    assert len(hub.asked) == 2


@pytest.mark.parametrize("begun", [False, True])
def test_a_body_that_is_closed_lets_go_of_its_connection(
    place: HubPlace, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    """Whether a piece of it was taken or not."""
    answers: list[Any] = []
    ask = HubPlace._ask

    def remembered(*arguments: Any) -> Any:
        answers.append(ask(*arguments))
        return answers[-1]

    monkeypatch.setattr(HubPlace, "_ask", remembered)
    body = place.open(PATH)
    if begun:
        next(body.chunks)
    assert not answers[0].is_closed
    body.chunks.close()
    assert answers[0].is_closed


def test_a_broken_connection_is_for_later(place: HubPlace, hub: Any) -> None:
    """No hub, and a body that ends too early; the signature in the address is not shown."""
    hub.faults[f"storage/{PATH}"] = (200, {"Content-Length": "99"})
    with pytest.raises(zoo.Unavailable, match="hf://org/models/blobs"):
        content(place.open(PATH))
    hub.faults[f"storage/{PATH}"] = (418, {})
    with pytest.raises(zoo.FetchError, match="answers 418") as caught:
        place.open(PATH)
    assert "secret" not in str(caught.value)
    hub.stop()
    with pytest.raises(zoo.Unavailable, match="hf://org/models/registry"):
        place.open("registry.yaml")


@pytest.mark.parametrize(
    "base",
    ["hf://org", "hf://", "hf:///repo", "hf://org/repo/folder", "hf://org/repo@", "hf://org/repo@a b", "hf://org/re po",
     "hf://user:pw@org/repo", "hf://org/repo?x", "https://org/repo", "hf://org/repo\n", "hf://örg/repo", "hf://../repo", "hf://org/repo@../x"],
)  # fmt: skip
def test_other_addresses_are_refused(base: str) -> None:
    """With the form that is right."""
    with pytest.raises(zoo.InvalidValue, match="names no repository; write hf://org/repo@revision"):
        HubPlace(base)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheme is known, the library is missing."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(zoo.MissingExtra, match=r"pip install 'attn-zoo\[hf\]'"):
        HubPlace("hf://org/models")


def test_patience_is_that_of_zoo(place: HubPlace, hub: Any, cache: Any) -> None:
    """A hub that is busy is asked again."""
    hub.faults[PATH] = (503, {})
    quick = PATIENCE._replace(attempts=2, pause=0.01)
    with pytest.raises(zoo.Unavailable, match="Tried 2 times"):
        fetch_blob(place, SHA256, len(BLOB), Cache(cache), patience=quick)
    assert len(hub.asked) == 2

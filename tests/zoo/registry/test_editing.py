"""Changing an index where it lies: of several who do it at once, none loses anything."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import zoo
from zoo.registry import editing
from zoo.registry.configured import Configured, write_configured
from zoo.registry.editing import change_index, read_draft, to_yaml
from zoo.registry.reader import parse_yaml
from zoo.store import folder as folders
from zoo.store.folder import FolderPlace


def index(**variants: Any) -> dict[str, Any]:
    """The data of an index."""
    return {"schema": 1, "id": "tests", "serial": 1, "variants": variants}


def adding(name: str) -> Callable[[dict[str, Any]], None]:
    """An edit that adds a variant."""

    def edit(data: dict[str, Any]) -> None:
        data["variants"][name] = {"summary": name, "versions": {}}

    return edit


class Shadow:
    """A place whose writes are preceded, or followed, by what a test does."""

    def __init__(
        self, root: Path, *, before: Callable[[], None] = list, after: Callable[[], None] = list
    ) -> None:
        self.place, self.before, self.after = FolderPlace(str(root)), before, after

    def open(self, path: str, **options: Any) -> zoo.Body:
        """As the place does."""
        return self.place.open(path, **options)

    def create(self, path: str, content: bytes) -> None:
        """As the place does, between what the test does."""
        self.before()
        self.place.create(path, content)
        self.after()

    def replace(self, path: str, content: bytes, *, validator: str) -> None:
        """As the place does, between what the test does."""
        self.before()
        self.place.replace(path, content, validator=validator)
        self.after()


def once(action: Callable[[], None]) -> Callable[[], None]:
    """What acts only the first time."""
    actions = [action]
    return lambda: actions.pop()() if actions else None


def names(root: Path) -> list[str]:
    """The variants of a registry's folder."""
    return sorted(read_draft(FolderPlace(str(root)), str(root)).data["variants"])


def test_an_index_is_begun_and_changed(tmp_path: Path) -> None:
    """The first edit makes it, with an id from its address; each raises the serial by one."""
    place, root = FolderPlace(str(tmp_path / "Our Zoo")), str(tmp_path / "Our Zoo")
    assert change_index(place, root, adding("a"))["serial"] == 1
    assert change_index(place, root, adding("b"))["serial"] == 2
    data = read_draft(place, root).data
    assert (data["id"], data["serial"], list(data["variants"])) == ("our-zoo", 2, ["a", "b"])


def test_a_configured_registry_keeps_its_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go by its name, and another address gets none of them."""
    monkeypatch.setenv("ZOO_CONFIG", str(tmp_path / "registries.yaml"))
    write_configured([Configured("team", "https://models.example.org/zoo")])
    monkeypatch.setattr(editing, "open_place", lambda base, *, registry: (base, registry))
    for base, name in (
        ("https://models.example.org/zoo", "team"),
        ("https://models.example.org/zoo2", None),
    ):
        assert editing.open_registry(base) == (base, name)


def test_who_is_slower_goes_on_from_what_the_other_wrote(tmp_path: Path) -> None:
    """Both when the index is new and when it is replaced."""
    place = FolderPlace(str(tmp_path))

    def other(name: str) -> Callable[[], None]:
        return once(lambda: change_index(place, str(tmp_path), adding(name)) and None)

    change_index(Shadow(tmp_path, before=other("a")), str(tmp_path), adding("b"))
    change_index(Shadow(tmp_path, before=other("c")), str(tmp_path), adding("d"))
    assert names(tmp_path) == ["a", "b", "c", "d"]
    assert read_draft(place, str(tmp_path)).data["serial"] == 4


def test_an_answer_that_gets_lost_does_no_harm(tmp_path: Path) -> None:
    """The write took place, its answer did not come: it is neither repeated nor reported as a failure."""

    def fail() -> None:
        raise zoo.Unavailable("the connection broke", retry_after=0.01)

    for name in ("a", "b"):
        change_index(Shadow(tmp_path, after=once(fail)), str(tmp_path), adding(name))
    assert names(tmp_path) == ["a", "b"]
    assert read_draft(FolderPlace(str(tmp_path)), str(tmp_path)).data["serial"] == 2


def test_it_gives_up_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where others are always faster."""
    monkeypatch.setattr(editing, "_ATTEMPTS", 3)
    monkeypatch.setattr(editing, "_LONGEST_PAUSE", 0.0)
    numbers = iter(range(100))

    def other() -> None:
        change_index(FolderPlace(str(tmp_path)), str(tmp_path), adding(f"v{next(numbers)}"))

    with pytest.raises(zoo.RegistryError, match=r"changed by others each of 3 times"):
        change_index(Shadow(tmp_path, before=other), str(tmp_path), adding("mine"))
    assert "mine" not in names(tmp_path)


def test_a_place_that_tells_no_changes_is_not_written_to(tmp_path: Path) -> None:
    """Without a tag another's change could not be seen."""
    change_index(FolderPlace(str(tmp_path)), str(tmp_path), adding("a"))

    class Tagless(Shadow):
        def open(self, path: str, **options: Any) -> zoo.Body:
            return super().open(path, **options)._replace(validator=None)

    with pytest.raises(zoo.RegistryError, match="comes without a tag"):
        change_index(Tagless(tmp_path), str(tmp_path), adding("b"))
    assert names(tmp_path) == ["a"]


PUBLISHER = """
import fcntl, sys
from zoo.registry.configured import Configured, write_configured
from zoo.registry.editing import change_index
from zoo.store.folder import FolderPlace
if sys.argv[3] == "lying":
    fcntl.flock = lambda handle, how: None
for number in range(5):
    name = f"p{sys.argv[2]}_{number}"
    add = lambda data: data["variants"].__setitem__(name, {"summary": "", "versions": {}})
    change_index(FolderPlace(sys.argv[1]), sys.argv[1], add)
"""


@pytest.mark.parametrize("lock", ["true", "lying"])
def test_eight_at_once_lose_nothing(tmp_path: Path, lock: str) -> None:
    """Eight processes, forty edits, also where the lock lets everybody in."""
    processes = [
        subprocess.Popen([sys.executable, "-c", PUBLISHER, str(tmp_path), str(number), lock])
        for number in range(8)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0] * 8
    assert len(names(tmp_path)) == 40
    assert read_draft(FolderPlace(str(tmp_path)), str(tmp_path)).data["serial"] == 40
    assert os.listdir(tmp_path) == ["registry.yaml"]


def test_what_a_crash_left_behind_is_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim of a process that died holds up others for a moment, not for ever."""
    place, root = FolderPlace(str(tmp_path)), str(tmp_path)
    change_index(place, root, adding("a"))
    (tmp_path / ".registry.yaml.claim").write_text("of one that died")
    monkeypatch.setattr(folders, "_LONGEST_CLAIM", 0.2)
    with pytest.raises(zoo.AlreadyThere, match="is being changed by somebody else"):
        place.replace("registry.yaml", b"", validator=read_draft(place, root).validator or "")
    began = time.monotonic()
    change_index(place, root, adding("b"))
    assert time.monotonic() - began < 25
    assert os.listdir(tmp_path) == ["registry.yaml"]


def test_unfinished_files_of_the_dead_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a day; before, somebody may still write them."""
    place, root = FolderPlace(str(tmp_path)), str(tmp_path)
    (tmp_path / ".registry.yaml.0123456789abcdef.tmp").write_text("half an ind")
    change_index(place, root, adding("a"))
    assert len(os.listdir(tmp_path)) == 2
    monkeypatch.setattr(folders, "_LONGEST_WRITE", 0.1)
    time.sleep(0.2)
    change_index(place, root, adding("b"))
    assert os.listdir(tmp_path) == ["registry.yaml"]


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=5))
def test_every_text_comes_back_as_it_was(texts: dict[str, str]) -> None:
    """Whatever people write into what they publish."""
    spec = {
        "input": {"kind": "image", "channels": 3, "size": [8, 8]},
        "backbone": {"name": "x"},
        "head": {"name": "y"},
        "output": {"labels": sorted({*texts.values(), "cat"})},
    }
    entry = {"spec": spec, "provenance": texts, "license": "".join(texts.values())}
    data = index(name={"summary": "".join(texts), "versions": {"1.0.0": entry}})
    assert parse_yaml(to_yaml(data, "base"), "again")[0] == data


@pytest.mark.parametrize(
    "text",
    ["1.10", "1e5", "no", "null", "~", "# c", "a: b", "é\n- x", '"', "0123", "2026-01-01", "<<", "\x1b[2J", "true", ""],
)  # fmt: skip
def test_texts_that_look_like_something_else_stay_texts(text: str) -> None:
    """A summary that YAML or JSON would read as a number, a flag or a comment comes back as written."""
    data = index(name={"summary": text, "versions": {}})
    assert parse_yaml(to_yaml(data, "base"), "again")[0] == data


def test_a_text_that_cannot_be_written_is_refused() -> None:
    """Rather than written as something else: half a surrogate pair is no UTF-8."""
    with pytest.raises(zoo.RegistryError, match="the entry cannot be written as YAML"):
        to_yaml(index(name={"summary": "\ud800", "versions": {}}), "base")


@pytest.mark.parametrize(
    ("base", "name"),
    [("s3://bucket/our-zoo", "our-zoo"), ("hf://org/models@v2", "models"), ("https://x.org/Zoo_2/", "zoo-2"),
     ("s3://123", "registry"), ("/srv/--/", "registry"), ("/srv/" + "a" * 100, "a" * 64)],
)  # fmt: skip
def test_a_new_registry_is_called_by_the_end_of_its_address(base: str, name: str) -> None:
    """In the form that an id has."""
    assert editing._id_from(base) == name

"""Registries in folders: read from anywhere on, written whole and never over somebody else's change."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from unittest import mock

import pytest

from zoo import FetchError, InvalidValue
from zoo.errors import AlreadyThere, NotFound
from zoo.store import folder
from zoo.store.folder import FolderPlace, folder_of

CONTENT = os.urandom(3 * 2**20 + 7)


@pytest.fixture
def place(tmp_path: Path) -> FolderPlace:
    """A folder with one file."""
    (tmp_path / "file").write_bytes(CONTENT)
    return FolderPlace(str(tmp_path))


def validator_of(place: FolderPlace) -> str:
    """The validator of the file as it is."""
    body = place.open("file")
    body.chunks.close()  # type: ignore[attr-defined]
    return str(body.validator)


def start_of(place: FolderPlace, start: int, validator: str | None = None) -> int:
    """Where the answer begins to who asks from a byte on."""
    body = place.open("file", start=start, validator=validator)
    body.chunks.close()  # type: ignore[attr-defined]
    return body.start


@pytest.mark.parametrize("start", [0, 1, 2**20, len(CONTENT) - 1, len(CONTENT)])
def test_a_file_is_read_from_any_byte_on(place: FolderPlace, start: int) -> None:
    """With its whole size, in pieces."""
    body = place.open("file", start=start)
    assert (body.start, body.size) == (start, len(CONTENT))
    pieces = list(body.chunks)
    assert b"".join(pieces) == CONTENT[start:]
    assert all(len(piece) <= 2**20 for piece in pieces)


def test_a_file_that_is_shorter_is_read_from_its_beginning(place: FolderPlace) -> None:
    """So that whoever resumes sees that it is another."""
    assert start_of(place, len(CONTENT) + 1) == 0


def test_a_file_that_has_changed_is_read_from_its_beginning(
    place: FolderPlace, tmp_path: Path
) -> None:
    """The validator tells."""
    validator = validator_of(place)
    assert start_of(place, 5, validator) == 5
    (tmp_path / "file").write_bytes(CONTENT[::-1])
    os.utime(tmp_path / "file", ns=(1, 1))
    assert start_of(place, 5, validator) == 0


def test_the_file_is_closed_with_the_pieces(place: FolderPlace) -> None:
    """Also where not all of them are wanted, or none."""
    before = len(os.listdir("/proc/self/fd"))
    for wanted in (0, 1, 4):
        chunks = place.open("file").chunks
        for _ in range(wanted):
            next(chunks)
        chunks.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_that_is_not_there(place: FolderPlace) -> None:
    """It is named."""
    with pytest.raises(NotFound, match=r"There is no .*/gone"):
        place.open("gone")


def test_what_is_no_file_is_not_opened(place: FolderPlace, tmp_path: Path) -> None:
    """A pipe would be waited at for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(FetchError, match=rf"{name} (is no file|cannot be read)"):
            place.open(name)


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../file", "a/../../b", "a//b", ".", "a/\0"])
def test_a_path_that_leads_elsewhere(place: FolderPlace, path: str) -> None:
    """No place takes it, to read or to write."""
    for use in (place.open, lambda path: place.create(path, b"")):
        with pytest.raises(InvalidValue, match="is no path of a registry"):
            use(path)


def test_a_new_file_is_made_with_its_folders(place: FolderPlace, tmp_path: Path) -> None:
    """Blobs are read-only, other files are not; nothing stands beside them."""
    place.create("blobs/sha256/ab/x", CONTENT)
    place.create("registry.yaml", b"schema: 1")
    path = tmp_path / "blobs" / "sha256" / "ab" / "x"
    assert path.read_bytes() == CONTENT
    assert os.listdir(path.parent) == ["x"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o444 & ~umask
    assert stat.S_IMODE((tmp_path / "registry.yaml").stat().st_mode) == 0o666 & ~umask


def test_a_file_that_is_there_is_not_made_again(place: FolderPlace, tmp_path: Path) -> None:
    """It stays as it is."""
    with pytest.raises(AlreadyThere, match="is there already; it is left as it is"):
        place.create("file", b"other")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_is_replaced_as_it_was_read(place: FolderPlace, tmp_path: Path) -> None:
    """Once; whoever read the same before has to read anew."""
    validator = validator_of(place)
    place.replace("file", b"new", validator=validator)
    assert (tmp_path / "file").read_bytes() == b"new"
    with pytest.raises(AlreadyThere, match="was changed meanwhile"):
        place.replace("file", b"newer", validator=validator)
    assert (tmp_path / "file").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_that_was_deleted_is_not_replaced(place: FolderPlace, tmp_path: Path) -> None:
    """That is a change, too."""
    validator = validator_of(place)
    (tmp_path / "file").unlink()
    with pytest.raises(AlreadyThere, match="was changed meanwhile"):
        place.replace("file", b"new", validator=validator)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("lying", [False, True])
def test_of_eight_who_replace_one_file_at_once_one_succeeds(
    place: FolderPlace, tmp_path: Path, lying: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock on the folder makes them take turns; one that lies changes nothing."""
    if lying:
        monkeypatch.setattr(fcntl, "flock", lambda handle, operation: None)
    validator = validator_of(place)

    def replace(number: int) -> bool:
        try:
            place.replace("file", str(number).encode(), validator=validator)
        except AlreadyThere:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(replace, range(8)))
    assert sum(done) == 1
    assert (tmp_path / "file").read_bytes() == str(done.index(True)).encode()


def test_the_claim_of_one_who_was_killed_is_taken_away(
    place: FolderPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it is so old that nobody can be at work."""
    (tmp_path / ".file.claim").touch()
    with pytest.raises(AlreadyThere, match="is being changed by somebody else"):
        place.replace("file", b"new", validator=validator_of(place))
    monkeypatch.setattr(folder, "_LONGEST_CLAIM", -1.0)
    place.replace("file", b"new", validator=validator_of(place))
    assert (tmp_path / "file").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_one_whose_claim_was_taken_away_does_not_write(
    place: FolderPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that was stopped for a while: another is at work."""
    read, claim = validator_of(place), tmp_path / ".file.claim"

    def take_away(found: os.stat_result) -> str:
        claim.unlink()
        claim.touch()
        return read

    monkeypatch.setattr(folder, "_validator", take_away)
    with pytest.raises(AlreadyThere, match="was changed meanwhile"):
        place.replace("file", b"new", validator=read)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert claim.exists()


@pytest.mark.parametrize("call", ["os.link", "os.fsync", "os.open"])
def test_a_folder_that_refuses_is_an_error_that_leaves_nothing(
    place: FolderPlace, tmp_path: Path, call: str
) -> None:
    """The system's refusal stands for it: tests may run as root, whom permissions do not stop."""
    refuse = PermissionError(13, "Permission denied")
    with (
        mock.patch(call, side_effect=refuse),
        pytest.raises(FetchError, match="new cannot be written: Permission denied"),
    ):
        place.create("new", b"content")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(("number", "error"), [(errno.EINVAL, None), (errno.EIO, FetchError)])
def test_a_folder_that_cannot_be_synced_has_the_file(
    place: FolderPlace, tmp_path: Path, number: int, error: type[Exception] | None
) -> None:
    """Some file systems cannot, which is no failure; of a disk that fails it is told what it means."""
    real = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        real(handle)

    with mock.patch("os.fsync", fsync):
        replace = partial(place.replace, validator=validator_of(place))
        for path, write in (("new", place.create), ("file", replace)):
            refused = pytest.raises(error, match="is written, but may be gone") if error else None
            with refused or nullcontext():
                write(path, b"content")
            assert (tmp_path / path).read_bytes() == b"content"


def test_whether_a_file_can_be_written_is_tried(place: FolderPlace, tmp_path: Path) -> None:
    """Also in folders that are not there yet; of the trial nothing is left."""
    for path in ("new", "folders/of/new", "file"):
        place.check_writable(path)
    with pytest.raises(FetchError, match="file/new cannot be written: Not a directory"):
        place.check_writable("file/new")
    refuse = PermissionError(13, "Permission denied")
    with (
        mock.patch("os.open", side_effect=refuse),
        pytest.raises(FetchError, match="folder/new cannot be written: Permission denied"),
    ):
        place.check_writable("folder/new")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("/a/b", "/a/b"),
        ("a/b", "a/b"),
        ("file:///a/b%20c", "/a/b c"),
        ("file://localhost/a", "/a"),
    ],
)
def test_the_folder_of_an_address(base: str, path: str) -> None:
    """A path is one, too."""
    assert folder_of(base) == Path(path)


@pytest.mark.parametrize("base", ["file://host/a", "https://host/a", "file://"])
def test_an_address_that_names_no_folder(base: str) -> None:
    """Other machines' folders have to be mounted."""
    with pytest.raises(InvalidValue, match="names no folder; write file:///folder"):
        folder_of(base)

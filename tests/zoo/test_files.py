"""Files are written whole or not at all, and read whole."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from zoo import InvalidValue, WeightsError
from zoo.files import locked, read_whole, reserved, write_atomically


def test_a_file_is_written_and_read_back(tmp_path: Path) -> None:
    """And nothing stands beside it."""
    write_atomically(tmp_path / "f", b"content")
    assert read_whole(tmp_path / "f") == b"content"
    assert os.listdir(tmp_path) == ["f"]


def test_a_file_that_is_there_is_replaced_whole(tmp_path: Path) -> None:
    """Whoever has the old one open keeps it."""
    (tmp_path / "f").write_bytes(b"the old and longer content")
    with open(tmp_path / "f", "rb") as old:
        write_atomically(tmp_path / "f", b"new")
        assert old.read() == b"the old and longer content"
    assert (tmp_path / "f").read_bytes() == b"new"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_are_those_of_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    """Not those of a temporary file."""
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "f", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "f").stat().st_mode & 0o777 == mode


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """With the path that was asked for, not a temporary one."""
    with pytest.raises(InvalidValue, match=r"gone/f cannot be written: No such file"):
        write_atomically(tmp_path / "gone" / "f", b"")


@pytest.mark.parametrize("length", [200, 240, 255])
def test_a_name_may_be_as_long_as_names_are(tmp_path: Path, length: int) -> None:
    """That of the temporary file is not longer."""
    write_atomically(tmp_path / ("f" * length), b"content")
    assert os.listdir(tmp_path) == ["f" * length]


@pytest.mark.parametrize("name", ["f" * 256, "f\0g", "ü" * 128])
def test_what_is_no_name_is_an_error(tmp_path: Path, name: str) -> None:
    """Too long, or with a null character: whether it is to be written or read."""
    with pytest.raises(
        InvalidValue, match=r"cannot be written: (File name too long|embedded null)"
    ):
        write_atomically(tmp_path / name, b"content")
    with pytest.raises(WeightsError, match=r"cannot be read: (File name too long|embedded null)"):
        read_whole(tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    """A pipe here; a device would be as bad."""
    os.mkfifo(tmp_path / "f")
    with pytest.raises(InvalidValue, match="it is a pipe or a device, and no file"):
        write_atomically(tmp_path / "f", b"")
    assert stat.S_ISFIFO((tmp_path / "f").stat().st_mode)


def test_a_folder_in_the_place_of_the_file_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    """The folder stays as it was."""
    (tmp_path / "f" / "inside").mkdir(parents=True)
    with pytest.raises(InvalidValue, match=r"f cannot be written: Is a directory"):
        write_atomically(tmp_path / "f", b"")
    assert os.listdir(tmp_path) == ["f"]


def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    """The system's refusal stands for it: tests may run as root, whom permissions do not stop."""
    refuse = PermissionError(13, "Permission denied")
    with (
        mock.patch("os.open", side_effect=refuse),
        pytest.raises(InvalidValue, match="f cannot be written: Permission denied"),
    ):
        write_atomically(tmp_path / "f", b"")


@pytest.mark.parametrize("call", ["os.fsync", "os.replace"])
def test_a_failure_on_the_way_keeps_the_old_file_and_leaves_nothing(
    tmp_path: Path, call: str
) -> None:
    """At each step before the rename is done."""
    (tmp_path / "f").write_bytes(b"old")
    with (
        mock.patch(call, side_effect=OSError(5, "Input/output error")),
        pytest.raises(InvalidValue, match="f cannot be written: Input/output error"),
    ):
        write_atomically(tmp_path / "f", b"new")
    assert os.listdir(tmp_path) == ["f"]
    assert (tmp_path / "f").read_bytes() == b"old"


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C while the bytes go to the disk."""
    with (
        mock.patch("os.fsync", side_effect=KeyboardInterrupt("stop")),
        pytest.raises(KeyboardInterrupt, match="stop"),
    ):
        write_atomically(tmp_path / "f", b"new")
    assert os.listdir(tmp_path) == []


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files is a disk that is full after 1000 bytes."""
    (tmp_path / "f").write_bytes(b"old")
    program = (
        "import resource, sys\nfrom pathlib import Path\nfrom zoo.files import write_atomically\n"
        "from zoo import InvalidValue\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_atomically(Path(sys.argv[1]), bytes(100_000))\n"
        "except InvalidValue as error: print(error)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "f")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "f cannot be written: File too large" in done.stdout
    assert os.listdir(tmp_path) == ["f"]
    assert (tmp_path / "f").read_bytes() == b"old"


def after_the_rename(call: str, number: int) -> mock._patch[mock.Mock]:
    """Let a call on the folder, which comes after that on the file, fail as a system would."""
    real = getattr(os, call)

    def fails(what: object, *rest: object, **words: object) -> object:
        folder = os.path.isdir(what) if call == "open" else stat.S_ISDIR(os.fstat(what).st_mode)
        if folder:
            raise OSError(number, os.strerror(number))
        return real(what, *rest, **words)

    return mock.patch(f"os.{call}", fails)


def test_a_folder_whose_disk_fails_is_reported_as_what_it_is(tmp_path: Path) -> None:
    """The new file is there; whether it stays is not known, and nobody is told that it was not written."""
    (tmp_path / "f").write_bytes(b"old")
    with (
        after_the_rename("fsync", errno.EIO),
        pytest.raises(InvalidValue, match=r"f is written, but may be the old one again .*write it"),
    ):
        write_atomically(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("call", "number"),
    [("fsync", errno.EINVAL), ("fsync", errno.ENOTSUP), ("open", errno.EACCES)],
)
def test_a_folder_that_nobody_can_sync_is_no_failure(
    tmp_path: Path, call: str, number: int
) -> None:
    """Some file systems cannot, and a folder without the right to read it cannot be opened."""
    with after_the_rename(call, number):
        write_atomically(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"new"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Nor is a device read, which may never end."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(WeightsError, match=r"cannot be read: it is a pipe or a device"):
            read_whole(path)


def test_what_memory_cannot_hold_is_an_error(tmp_path: Path) -> None:
    """A file that claims 2^62 bytes stands for it."""
    (tmp_path / "f").write_bytes(b"12345")
    with (
        mock.patch("os.fstat", return_value=mock.Mock(st_size=2**62, st_mode=stat.S_IFREG)),
        pytest.raises(WeightsError, match="there is no memory for its 4611686018427387904 bytes"),
    ):
        read_whole(tmp_path / "f")


@pytest.mark.parametrize("name", ["gone", "."])
def test_what_cannot_be_read_is_an_error(tmp_path: Path, name: str) -> None:
    """A file that is not there, and a folder."""
    with pytest.raises(WeightsError, match=r"cannot be read: (No such file|Is a directory)"):
        read_whole(tmp_path / name)


def test_a_file_above_the_limit_is_not_read(tmp_path: Path) -> None:
    """The limit itself is allowed."""
    (tmp_path / "f").write_bytes(b"12345")
    assert read_whole(tmp_path / "f", limit=5) == b"12345"
    with pytest.raises(WeightsError, match="f has 5 bytes; expected at most 4"):
        read_whole(tmp_path / "f", limit=4)


def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    """Its end is never made up."""
    (tmp_path / "f").write_bytes(b"12345")
    with (
        mock.patch("os.fstat", return_value=mock.Mock(st_size=9, st_mode=stat.S_IFREG)),
        pytest.raises(WeightsError, match="became shorter while it was read: 5 of 9 bytes"),
    ):
        read_whole(tmp_path / "f")


def test_one_at_a_time_is_in_a_locked_folder(tmp_path: Path) -> None:
    """And where there are no locks, or the folder cannot be opened, the work is done without."""
    with locked(tmp_path):
        other = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(BlockingIOError, match="temporarily unavailable"):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)
    with mock.patch("fcntl.flock", side_effect=OSError(errno.ENOLCK, "")), locked(tmp_path):
        write_atomically(tmp_path / "f", b"")
    with locked(tmp_path / "gone"):
        assert os.listdir(tmp_path) == ["f"]


def test_a_reserved_folder_is_nobody_elses(tmp_path: Path) -> None:
    """Nobody waits; afterwards it is free, as it is where there are no locks, or the folder is gone."""
    with reserved(tmp_path) as free, reserved(tmp_path) as second:
        assert (free, second) == (True, False)
    with (
        mock.patch("fcntl.flock", side_effect=OSError(errno.ENOLCK, "")),
        reserved(tmp_path) as free,
    ):
        assert free
    for folder in (tmp_path, tmp_path / "gone"):
        with reserved(folder) as free:
            assert free
    assert not os.listdir(tmp_path)


def test_what_is_locked_is_opened_for_writing(tmp_path: Path) -> None:
    """Else NFS locks nothing, and two machines that share it would both have the folder."""
    (tmp_path / "f").touch()
    writable = list[bool]()
    lock = fcntl.flock

    def flock(handle: int, operation: int) -> None:
        writable.append(bool(fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_RDWR))
        lock(handle, operation)

    with mock.patch("fcntl.flock", flock):
        with reserved(tmp_path) as free, reserved(tmp_path) as second:
            assert (free, second) == (True, False)
        with locked(tmp_path / "f"):
            pass
    assert writable == [True, True, True]


def test_a_folder_is_reserved_though_its_file_was_removed_meanwhile(tmp_path: Path) -> None:
    """By the one who had it before: a file without a name keeps nobody out."""
    lock, attempts = fcntl.flock, 0

    def flock(handle: int, operation: int) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            os.unlink(tmp_path / ".reserved")
        lock(handle, operation)

    with mock.patch("fcntl.flock", flock), reserved(tmp_path) as free, reserved(tmp_path) as second:
        assert (free, second) == (True, False)
    assert attempts == 3

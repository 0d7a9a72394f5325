"""What lies at a path: images or sounds in folders or an archive, or labelled texts."""

from __future__ import annotations

import re
import tarfile
from contextlib import suppress
from pathlib import Path

from zoo.errors import InvalidValue, counted
from zoo.train.data import KNOWN
from zoo.train.data.decoding import MARKS
from zoo.train.data.folders import IMAGES, SOUNDS, SPLIT_NAMES, find_files, list_files
from zoo.train.data.listing import Item, Listing
from zoo.train.data.request import DataRequest
from zoo.train.data.tables import SEPARATORS, read_text_file

FORMS = (
    "folder/<class>/<image or .wav>",
    "folder/train|validation|test/<class>/<image or .wav>",
    "folder/{label}_{speaker}_{index}.wav",
    "one of these in a tar or tar.gz",
    "a .csv or .tsv with columns for --text and --label",
    "a text file with a label and a sentence a line",
    "folder/train|validation|test.csv, .tsv or .txt",
)
_ENDING = re.compile(r"(\.tar)?\.[^.]*\Z")
_FEW = 10  # classes that there may be, however few the texts
_TEXTS = (*SEPARATORS, ".txt")


def at_path(path: Path, request: DataRequest) -> Listing:
    """List the data at a path.

    Raises:
        InvalidValue: It is of no known form; the message lists them.
    """
    name = name_at(path)
    texts = _texts(path)
    if texts:
        if request.held_out is not None:
            raise InvalidValue(f"{path} holds texts; --hold-out is for sounds named by speaker.")
        items: list[Item] = []
        for file, split in texts.items():
            items += read_text_file(file, request, split=split)
        classes = len({item.label for item in items})
        if classes > max(_FEW, len(items) // 2):
            raise _unclear(path, f"its {len(items)} texts would be of {classes} classes")
        return Listing(name, "text", items)
    for option in ("text", "label"):
        if getattr(request, option) is not None:
            raise InvalidValue(f"--{option} names a column of a table; {path} holds none.")
    if not path.is_dir() and not _is_archive(path):
        raise _unclear(path, "it is neither a folder, nor an archive, nor a text")
    files = find_files(path)
    if not any(file.path.suffix.lower() in (*IMAGES, *SOUNDS) for file in files):
        raise _unclear(path, f"it holds no images, sounds or texts ({counted(len(files), 'file')})")
    listing = list_files(name, files, hold_out=request.held_out)
    _check_folders(path, listing)
    return listing


def name_at(path: Path) -> str:
    """What the data at a path are called, before anything is held out: never as a data set that has a name."""
    path = path.resolve()
    text = path.name.lower() if path.is_dir() else _ENDING.sub("", path.name.lower())
    name = re.sub(r"[\W_]+", "-", text).strip("-") or "data"
    return f"own-{name}" if name in KNOWN else name


def _texts(path: Path) -> dict[Path, str | None]:
    """The text files to read, with the split that each is."""
    if path.is_dir():
        inside: list[Path] = []
        with suppress(OSError):  # told where its other files are looked for
            inside = sorted(path.iterdir())
        found = {
            file: SPLIT_NAMES[file.stem.lower()]
            for file in inside
            if file.suffix.lower() in _TEXTS and file.stem.lower() in SPLIT_NAMES
        }
        return dict(found) if "train" in found.values() else {}
    if path.suffix.lower() in _TEXTS or (not _is_archive(path) and _is_text(path)):
        return {path: None}
    return {}


def _is_archive(path: Path) -> bool:
    try:
        return path.is_file() and tarfile.is_tarfile(path)
    except OSError:
        return False


def _is_text(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            begin = file.read(4096)
    except OSError:
        return False
    return b"\0" not in begin or begin.startswith(tuple(MARKS))


def _check_folders(path: Path, listing: Listing) -> None:
    """See that no class folder is empty."""
    if not path.is_dir():
        return
    tops = [folder for folder in sorted(path.iterdir()) if _counts(folder)]
    if {folder.name.lower() for folder in tops} <= set(SPLIT_NAMES):
        tops = [inner for folder in tops for inner in sorted(folder.iterdir()) if _counts(inner)]
    filled = {Path(item.name).parent.as_posix() for item in listing.items}
    for folder in tops:
        inside = folder.relative_to(path).as_posix()
        if not any(f"{have}/".startswith(f"{inside}/") for have in filled):
            raise InvalidValue(
                f"{listing.name}: the class folder {str(folder)!r} is empty. Fill or remove it."
            )


def _counts(folder: Path) -> bool:
    # In `__MACOSX` zip files of a Mac keep what belongs to hidden files.
    return folder.is_dir() and not folder.name.startswith(".") and folder.name != "__MACOSX"


def _unclear(path: Path, why: str) -> InvalidValue:
    forms = "".join(f"\n    {form}" for form in FORMS)
    return InvalidValue(f"{path} is no data that can be told: {why}. Data are:{forms}")

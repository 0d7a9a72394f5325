"""Folders and archives of image or sound files, with their labels in folder or file names.

Forms: `<class>/<file>`; `<split>/<class>/<file>` with splits called train (training), validation (val, valid,
dev) and test (testing), in capitals or not; and for sounds `{label}_{speaker}_{index}.wav` without folders.
"""

from __future__ import annotations

import lzma
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from posixpath import dirname, join, normpath
from typing import NamedTuple

from zoo.errors import InvalidValue, are, counted, some
from zoo.train.data.listing import Item, Kind, Listing

IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
SOUNDS = (".wav",)
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
_SPOKEN = re.compile(r"(?P<label>[^_]+)_(?P<speaker>.+)_(?P<index>\d+)\.wav", re.IGNORECASE)


class File(NamedTuple):
    """A file: its path within the folder or archive, and where its content is."""

    path: PurePosixPath
    content: Path | bytes


def find_files(path: Path) -> list[File]:
    """The files of a folder or of a tar archive, in order; hidden ones are left out.

    A folder may be put together from links to folders and files elsewhere.

    Raises:
        InvalidValue: It cannot be read.
    """
    found = _in_folder(path) if path.is_dir() else _in_archive(path)
    return sorted(found, key=lambda file: file.path)


def list_files(name: str, files: Sequence[File], *, hold_out: tuple[str, str] | None) -> Listing:
    """Tell kind, labels and splits from the paths of files.

    Args:
        name: Of the data set.
        files: Its files.
        hold_out: What is the test: for files named by speaker, `("speaker", ...)`.

    Raises:
        InvalidValue: There are no images or sounds, or both, or no labels; or nothing is called so.
    """
    kind, chosen, left = _of_one_kind(name, files)
    notes = []
    if left:
        notes = [f"{counted(len(left), 'other file')} {are(len(left))} left out: {some(left)}"]
    if kind == "audio" and all(len(file.path.parts) == 1 for file in chosen):
        items = [spoken_item(name, file) for file in chosen]
    else:
        splits = _has_splits(name, chosen)
        items = [_foldered_item(name, file, splits=splits) for file in chosen]
    if hold_out is not None:
        items = _held_out(name, items, hold_out)
        name = f"{name}-{hold_out[0]}-{hold_out[1]}"
    return Listing(name, kind, items, notes=tuple(notes))


def spoken_item(name: str, file: File) -> Item:
    """A sound whose label is the first part of its file's name.

    Raises:
        InvalidValue: The name is not of that form.
    """
    match = _SPOKEN.fullmatch(file.path.name)
    if match is None:
        raise InvalidValue(
            f"{name}: {file.path} does not say its class. Put it in a folder named like its class, or call a sound "
            "{label}_{speaker}_{index}.wav."
        )
    return Item(str(file.path), match["label"], file.content)


def spoken_part(item: Item, part: str) -> str:
    """The `speaker` or `index` of a sound named `{label}_{speaker}_{index}.wav`; empty if it is not."""
    match = _SPOKEN.fullmatch(PurePosixPath(item.name).name)
    return match[part] if match else ""


def _in_folder(root: Path) -> list[File]:
    try:
        return [
            File(PurePosixPath(path.relative_to(root).as_posix()), path)
            for path in _files_below(root)
        ]
    except OSError as error:
        what = error.filename or root
        raise InvalidValue(f"{what} cannot be read: {error.strerror or error}.") from None


def _files_below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    folder_itself = folder.resolve()
    if folder_itself in above:  # a link back up, which would lead round and round
        return
    for path in folder.iterdir():
        if path.name.startswith("."):  # not even looked into: it may be closed to us
            continue
        if path.is_dir():
            yield from _files_below(path, (*above, folder_itself))
        elif path.is_file():
            yield path


def _in_archive(path: Path) -> list[File]:
    found: dict[str, bytes | str] = {}  # by name: the content, or of a link the name it leads to
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name = normpath(member.name)
                if member.issym():
                    found[name] = normpath(join(dirname(name), member.linkname))
                elif member.islnk():
                    found[name] = normpath(member.linkname)
                elif (file := archive.extractfile(member)) is not None:
                    found[name] = file.read()  # at once: going back in a packed file is slow
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InvalidValue(f"{path} cannot be read as a tar file: {error}.") from None
    visible = [
        name for name in found if not any(part[0] == "." for part in name.split("/") if part)
    ]
    return _without_top(
        [File(PurePosixPath(name), _content(path, name, found)) for name in visible]
    )


def _content(archive: Path, name: str, found: Mapping[str, bytes | str]) -> bytes:
    """What a file of an archive holds, or the one that a link leads to, by way of others maybe.

    Raises:
        InvalidValue: It leads to no file of the archive.
    """
    content: bytes | str | None = found[name]
    for _ in found:
        if isinstance(content, bytes):
            return content
        content = found.get(content or "")
    raise InvalidValue(
        f"{archive}: {name} is a link to {found[name]!r}, which is no file in it. Pack the files themselves: "
        "tar --dereference."
    )


def _without_top(files: list[File]) -> list[File]:
    """Leave out the one folder that archives often have around everything."""
    tops = {file.path.parts[0] for file in files}
    rest = [PurePosixPath(*file.path.parts[1:]) for file in files]
    inside = all(len(path.parts) > 1 for path in rest) or all(
        _SPOKEN.fullmatch(str(path)) for path in rest
    )
    if len(tops) != 1 or not rest or not inside:
        return files
    return [File(path, file.content) for path, file in zip(rest, files, strict=True)]


def _of_one_kind(name: str, files: Sequence[File]) -> tuple[Kind, list[File], list[str]]:
    kinds: dict[Kind, list[File]] = {"image": [], "audio": []}
    left = []
    for file in files:
        ending = file.path.suffix.lower()
        if ending in IMAGES:
            kinds["image"].append(file)
        elif ending in SOUNDS:
            kinds["audio"].append(file)
        else:
            left.append(str(file.path))
    if kinds["image"] and kinds["audio"]:
        raise InvalidValue(
            f"{name} holds {counted(len(kinds['image']), 'image')} and {counted(len(kinds['audio']), 'sound')}; give one "
            "kind."
        )
    if not kinds["image"] and not kinds["audio"]:
        raise InvalidValue(f"{name} holds no images ({', '.join(IMAGES)}) and no sounds (.wav).")
    kind: Kind = "image" if kinds["image"] else "audio"
    return kind, kinds[kind], left


def _has_splits(name: str, files: Sequence[File]) -> bool:
    """Whether the folders at the top are splits, and not classes.

    Raises:
        InvalidValue: Some are, by their names and the folders in them, and others are not.
    """
    depths: dict[str, set[int]] = {}
    for file in files:
        depths.setdefault(file.path.parts[0], set()).add(len(file.path.parts))
    named = [top for top in depths if top.lower() in SPLIT_NAMES]
    extra = [top for top in depths if top not in named and min(depths[top]) > 1]
    if named and extra and all(min(depths[top]) > 2 for top in named):
        raise InvalidValue(
            f"{name}: {some(named)} hold class folders, as splits do, and beside them {some(extra)} would be "
            f"classes. Move {some(extra)} elsewhere; or, if these are all classes, put the files of {some(named)} "
            "right into them."
        )
    return len(named) == len(depths)


def _foldered_item(name: str, file: File, *, splits: bool) -> Item:
    parts = file.path.parts
    split = SPLIT_NAMES[parts[0].lower()] if splits else None
    folders = parts[1:-1] if splits else parts[:-1]
    if folders:
        return Item(str(file.path), folders[0], file.content, split)
    if file.path.suffix.lower() in SOUNDS:
        return spoken_item(name, file)._replace(split=split)
    raise InvalidValue(
        f"{name}: {file.path} lies in no class folder. Expected <class>/<file>, or train/<class>/<file>."
    )


def _held_out(name: str, items: list[Item], hold_out: tuple[str, str]) -> list[Item]:
    key, value = hold_out
    speakers = sorted({spoken_part(item, "speaker") for item in items} - {""})
    if not speakers:
        raise InvalidValue(
            f"{name}: --hold-out {key}={value} needs sounds named {{label}}_{{speaker}}_{{index}}.wav, of which there are "
            "none here; leave --hold-out out."
        )
    if key != "speaker":
        raise InvalidValue(
            f"{name}: --hold-out {key}={value}: there is no {key!r} to hold out here; give speaker=NAME, one of "
            f"{some(speakers)}."
        )
    if value not in speakers:
        raise InvalidValue(f"{name}: there is no speaker {value!r}; there are {some(speakers)}.")
    return [
        item._replace(split="test" if spoken_part(item, "speaker") == value else None)
        for item in items
    ]

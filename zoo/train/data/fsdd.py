"""Free Spoken Digit Dataset: recordings named `{digit}_{speaker}_{index}.wav`, packed or in a folder.

Splits: test is index 0 to 4, as its authors say, validation index 5 to 9, train the rest. With
`speaker=NAME` held out, the test is all that this speaker says, and validation is index 5 to 9 of the others.
"""

from __future__ import annotations

from pathlib import Path

from zoo.errors import InvalidValue
from zoo.train.data.folders import find_files, list_files, spoken_part
from zoo.train.data.listing import Item, Listing
from zoo.train.data.request import DataRequest

PLACES = (
    ".",
    "recordings",
    "recordings.tar.gz",
    "fsdd/recordings",
    "fsdd/recordings.tar.gz",
)
TEST, VALIDATION = range(5), range(5, 10)


def list_fsdd(root: Path, request: DataRequest) -> Listing:
    """List the recordings.

    Raises:
        InvalidValue: There are none, or a file is not named so.
    """
    listing = list_files("fsdd", find_files(_place(root)), hold_out=request.held_out)
    items = [item._replace(split=_split(item, request)) for item in listing.items]
    return Listing(listing.name, listing.kind, items, tuple("0123456789"), listing.notes)


def _place(root: Path) -> Path:
    for place in PLACES:
        path = root / place
        if path.is_file() or (path.is_dir() and any(path.glob("*_*_*.wav"))):
            return path
    raise InvalidValue(
        f"fsdd: there is neither recordings.tar.gz nor a folder recordings in {root} or {root / 'fsdd'}."
    )


def _split(item: Item, request: DataRequest) -> str:
    index = int(spoken_part(item, "index"))
    if request.held_out is None:
        return "test" if index in TEST else "validation" if index in VALIDATION else "train"
    return item.split or ("validation" if index in VALIDATION else "train")

"""SST-2, TREC and MR in their published form."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.errors import InvalidValue
from zoo.train.data.listing import Listing
from zoo.train.data.request import DataRequest
from zoo.train.data.sentences import list_mr, list_sst2, list_trec


def _numbers(listing: Listing, split: str) -> list[str]:
    return [str(item.content) for item in listing.items if item.split == split]


def _lines(count: int, classes: int) -> str:
    return "".join(f"{number % classes} sentence {number}\n" for number in range(count))


def test_sst2_has_its_splits(tmp_path: Path) -> None:
    """One file each, of negative and positive sentences; found in the folder `text`, too."""
    (tmp_path / "text").mkdir()
    for part, line in (("train", "0 bad"), ("dev", "1 good"), ("test", "1 fine")):
        (tmp_path / "text" / f"stsa.binary.{part}").write_text(f"{line}\n")
    items = list_sst2(tmp_path, DataRequest(what="sst2")).items
    assert [(item.label, item.content, item.split) for item in items] == [
        ("negative", "bad", "train"),
        ("positive", "good", "validation"),
        ("positive", "fine", "test"),
    ]


def test_the_end_of_trec_is_for_validation(tmp_path: Path) -> None:
    """Its last 500 questions, or a tenth where there are fewer than 5,000."""
    (tmp_path / "TREC.test.all").write_text(_lines(6, 6))
    (tmp_path / "TREC.train.all").write_text(_lines(5452, 6))
    listing = list_trec(tmp_path, DataRequest(what="trec"))
    assert [len(_numbers(listing, split)) for split in ("train", "validation", "test")] == [
        4952,
        500,
        6,
    ]
    assert _numbers(listing, "validation")[0] == "sentence 4952"
    assert {item.label for item in listing.items} == set(listing.labels)
    (tmp_path / "TREC.train.all").write_text(_lines(100, 6))
    listing = list_trec(tmp_path, DataRequest(what="trec"))
    assert len(_numbers(listing, "validation")) == 10


def test_the_encodings_are_those_of_the_published_files(tmp_path: Path) -> None:
    """TREC and MR are in Latin-1, of which copies in UTF-8 are read, too; SST-2 is in UTF-8."""
    cliche = "".join(f"{n % 2} clich\xe9 {n}\n" for n in range(20))
    for name in ("TREC.test.all", "TREC.train.all", "rt-polarity.all"):
        (tmp_path / name).write_text(cliche, "latin-1")
    in_latin = [
        [item.content for item in list_it(tmp_path, DataRequest(what="x")).items]
        for list_it in (list_trec, list_mr)
    ]
    assert all("clich\xe9 0" in contents for contents in in_latin)
    for name in ("TREC.test.all", "TREC.train.all", "rt-polarity.all"):
        (tmp_path / name).write_text(cliche, "utf-8")
    assert in_latin == [
        [item.content for item in list_it(tmp_path, DataRequest(what="x")).items]
        for list_it in (list_trec, list_mr)
    ]
    for part in ("train", "dev", "test"):
        (tmp_path / f"stsa.binary.{part}").write_text(cliche, "latin-1")
    with pytest.raises(InvalidValue, match=r"stsa.binary.train:1: the byte 0xe9 .* is no UTF-8"):
        list_sst2(tmp_path, DataRequest(what="sst2"))


@pytest.mark.parametrize(("hold_out", "fold"), [(None, 0), ("fold=9", 9)])
def test_mr_is_divided_by_folds(tmp_path: Path, hold_out: str | None, fold: int) -> None:
    """The fold is the test, the next one validation, and the figure's name says which."""
    (tmp_path / "rt-polarity.all").write_text(_lines(40, 2))
    listing = list_mr(tmp_path, DataRequest(what="mr", hold_out=hold_out))
    assert listing.name == f"mr-fold-{fold}"
    assert _numbers(listing, "test") == [f"sentence {n}" for n in range(40) if n % 10 == fold]
    after = (fold + 1) % 10
    assert _numbers(listing, "validation") == [
        f"sentence {n}" for n in range(40) if n % 10 == after
    ]
    assert len(_numbers(listing, "train")) == 32


def test_what_is_no_fold_or_label_is_refused(tmp_path: Path) -> None:
    """With what there is."""
    (tmp_path / "rt-polarity.all").write_text("2 what\n")
    for hold_out in ("fold=10", "speaker=ann"):
        with pytest.raises(InvalidValue, match="one of ten folds can be held out"):
            list_mr(tmp_path, DataRequest(what="mr", hold_out=hold_out))
    with pytest.raises(InvalidValue, match=r"1 is none of 0, 1: rt-polarity.all:1 has '2'"):
        list_mr(tmp_path, DataRequest(what="mr"))
    for listed in (list_sst2, list_trec):
        with pytest.raises(InvalidValue, match="has splits of its own"):
            listed(tmp_path, DataRequest(what="x", hold_out="fold=1"))

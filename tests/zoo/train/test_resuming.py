"""Which runs can go on, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

import zoo
from zoo.errors import InvalidValue
from zoo.train.data.dataset import Data
from zoo.train.fitting import fit
from zoo.train.recipe import Recipe
from zoo.train.run_folder import RunFolder

RECIPE = Recipe(epochs=1, batch_size=20)
NewModel = Callable[[], "zoo.Model"]


@pytest.fixture
def drawn(data: Data) -> Data:
    """The data, with the names of their samples."""
    return replace(data, members={"train": ["a", "b"], "validation": ["c"], "test": ["d"]})


@pytest.fixture
def run(drawn: Data, new_model: NewModel, folder: Path) -> Path:
    """The folder of a run that has ended."""
    fit(new_model(), drawn, RECIPE, RunFolder(folder))
    return folder


@pytest.mark.parametrize(
    ("members", "told"),
    [
        (
            {"train": ["a", "b", "e"], "validation": ["c"], "test": ["d"]},
            r": 1 sample is new \(e\)\. Br",
        ),
        (
            {"train": ["a"], "validation": [], "test": ["d"]},
            r": 2 samples are gone \(b, c\)\. Bring",
        ),
        (
            {"train": [*"abefgh"], "validation": ["c"], "test": []},
            r": 4 samples are new \(e, f, g, h\), 1 sample is gone \(d\)\. Bring them back .* another run",
        ),
        ({"train": ["a", "c"], "validation": ["b"], "test": ["d"]}, "are divided otherwise"),
    ],
)
def test_what_has_changed_in_the_data_is_told(
    run: Path, drawn: Data, new_model: NewModel, members: dict[str, list[str]], told: str
) -> None:
    """How many samples, and some of them by name."""
    with pytest.raises(InvalidValue, match=told):
        fit(new_model(), replace(drawn, members=members), RECIPE, RunFolder(run), resume=True)


def test_a_sample_of_the_same_name_with_another_content_is_noticed(
    drawn: Data, new_model: NewModel, folder: Path
) -> None:
    """By the digest of its split."""
    digests = {"train": "1", "validation": "2", "test": "3"}
    fit(new_model(), replace(drawn, digests=digests), RECIPE, RunFolder(folder))
    other = replace(drawn, digests={**digests, "validation": "4"})
    with pytest.raises(InvalidValue, match="the validation split has samples with another content"):
        fit(new_model(), other, RECIPE, RunFolder(folder), resume=True)


@pytest.mark.parametrize("name", ["last.ckpt", "best.safetensors"])
def test_a_file_that_is_gone_is_named(
    run: Path, drawn: Data, new_model: NewModel, name: str
) -> None:
    """Nothing is trained, and no file is said to be there that is not."""
    (run / name).unlink()
    (run / "result.json").unlink()
    with pytest.raises(InvalidValue, match=f"has lost {name}, without which it cannot go on"):
        fit(new_model(), drawn, RECIPE, RunFolder(run), resume=True)
    assert not (run / "result.json").exists()


def test_without_the_names_of_the_samples_it_is_not_known_how_they_were_divided(
    run: Path, drawn: Data, new_model: NewModel
) -> None:
    """That splits.json is gone is said, not that the data are others."""
    (run / "splits.json").unlink()
    with pytest.raises(InvalidValue, match=r"has no splits\.json to say how they were"):
        fit(new_model(), drawn, RECIPE, RunFolder(run), resume=True)
    (run / "splits.json").write_text("[")
    with pytest.raises(InvalidValue, match=r"splits\.json cannot be read"):
        fit(new_model(), drawn, RECIPE, RunFolder(run), resume=True)


@pytest.mark.parametrize("content", ["", "{}", "[]"])
def test_a_result_that_is_damaged_is_written_again(
    run: Path, drawn: Data, new_model: NewModel, content: str
) -> None:
    """The checkpoint has all that it needs."""
    before = (run / "result.json").read_bytes()
    (run / "result.json").write_text(content)
    fit(new_model(), drawn, RECIPE, RunFolder(run), resume=True)
    was, now = (msgspec.json.decode(text) for text in (before, (run / "result.json").read_bytes()))
    assert (now["history"], now["best"]) == (was["history"], was["best"])


def test_a_run_of_before_a_field_was_added_to_recipes_goes_on(
    run: Path, drawn: Data, new_model: NewModel
) -> None:
    """What its recipe does not say is what it was trained with then, the default."""
    asked = msgspec.json.decode((run / "run.json").read_bytes())
    del asked["recipe"]["mixup"]
    (run / "run.json").write_bytes(msgspec.json.encode(asked))
    assert len(fit(new_model(), drawn, RECIPE, RunFolder(run), resume=True).history) == 1

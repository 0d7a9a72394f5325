"""Recipes read, checked, and those that are shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zoo.errors import InvalidValue
from zoo.spec import ImageInput
from zoo.train.recipe import Recipe, recipe_for
from zoo.train.subject import read_subject


def test_data_reads_back_to_an_equal_recipe() -> None:
    """A recipe survives the way through plain data."""
    recipe = Recipe.from_data({"epochs": 3, "augment": ["flip", {"name": "crop", "padding": 2}]})
    assert Recipe.from_data(recipe.to_data()) == recipe
    assert recipe.augment == ({"name": "flip"}, {"name": "crop", "padding": 2})


def test_a_bare_32_is_a_precision() -> None:
    """YAML's number 32 means the text."""
    assert Recipe.from_data({"precision": 32}).precision == "32"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "expected fields with names"),
        ({"epoch": 3}, "unknown field 'epoch'. Did you mean 'epochs'"),
        ({"epochs": 0}, "recipe.epochs: 0 is not at least 1"),
        ({"epochs": "3"}, r"^recipe\.epochs: Expected int, got str \('3'\)\.$"),
        (
            {"learning_rate": ".nan"},
            r"^recipe\.learning_rate: Expected float, got str \('\.nan'\)\.$",
        ),
        ({"augment": [3]}, r"^recipe\.augment\[0\]: Expected object, got int\.$"),
        (
            {"vocabulary": {"most": 0.5}},
            r"^recipe\.vocabulary\.most: Expected int \| null, got float\.$",
        ),
        ({"batch_size": 0}, "recipe.batch_size: 0"),
        ({"learning_rate": 0.0}, "recipe.learning_rate: 0.0 is not a finite number above 0"),
        ({"weight_decay": -1.0}, "recipe.weight_decay"),
        ({"momentum": 1.0}, "recipe.momentum"),
        ({"label_smoothing": 1.0}, "recipe.label_smoothing"),
        ({"seed": -1}, "recipe.seed"),
        ({"optimizer": "adan"}, "recipe.optimizer: 'adan' is none. Did you mean"),
        ({"precision": 16}, r"^recipe\.precision: .*16"),
        (
            {"augment": ["flop"]},
            r"recipe.augment\[0\]: no augmentation is called 'flop'. Did you mean 'flip'",
        ),
        (
            {"augment": [{"name": "crop", "paddin": 1}]},
            "crop has no option 'paddin'. Did you mean 'padding'",
        ),
        ({"augment": [{"name": "crop", "padding": 0}]}, r"recipe.augment\[0\]: crop: padding 0"),
        ({"augment": [{"name": "crop", "padding": "x"}]}, "crop cannot be made with"),
    ],
)
def test_wrong_fields_are_refused(data: Any, message: str) -> None:
    """Each wrong value is named, with its place and what it may be."""
    with pytest.raises(InvalidValue, match=message):
        Recipe.from_data(data)


_FILES = sorted((Path(__file__).parents[3] / "recipes").glob("*.yaml"))
_RECIPES = [path for path in _FILES if "\nspec:" in path.read_text()]  # the others are plans


@pytest.mark.parametrize("path", _RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path: Path) -> None:
    """Every file in recipes/ holds a spec and a recipe that can be read."""
    read_subject(str(path))


@pytest.mark.parametrize(
    ("optimizer", "rate", "decay"),
    [("adamw", 2e-3, 0.05), ("adam", 2e-3, 0.0), ("sgd", 0.05, 5e-4), ("adadelta", 1.0, 0.0)],
)
def test_rate_and_decay_suit_the_optimizer(optimizer: str, rate: float, decay: float) -> None:
    """Decay of 0.05 in the gradient of Adam, which divides by its size, would empty the weights."""
    recipe = recipe_for({"optimizer": optimizer}, ImageInput(channels=3))
    assert (recipe.learning_rate, recipe.weight_decay) == (rate, decay)
    said = recipe_for({"optimizer": optimizer, "weight_decay": 0.3}, ImageInput(channels=3))
    assert (said.learning_rate, said.weight_decay) == (rate, 0.3)


def test_images_of_one_pixel_a_row_are_not_moved() -> None:
    """The usual recipe is one that works for all sizes: of these a crop would leave nothing."""
    names = [
        [step["name"] for step in recipe_for({}, ImageInput(channels=3, size=size)).augment]
        for size in ((1, 40), (2, 40))
    ]
    assert names == [["flip"], ["crop", "flip"]]

"""What there is, is documented: commands, hooks and public names."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import zoo
from zoo import hookspecs
from zoo.cli import COMMANDS
from zoo.train.augmentation import AUGMENTATIONS
from zoo.train.data import KNOWN
from zoo.train.subject import read_subject

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PLUGINS, TRAINING = ((ROOT / "docs" / page).read_text() for page in ("plugins.md", "training.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
HOOKS = [name for name in vars(hookspecs) if name.startswith("zoo_")]


@pytest.mark.parametrize("name", zoo.__all__)
def test_readme_names_it(name: str) -> None:
    """Each public name stands in the README."""
    assert re.search(rf"\bzoo\.{name}\b", README)


@pytest.mark.parametrize("name", zoo.__all__)
def test_docstring_says_what_it_does(name: str) -> None:
    """Each public name has a docstring of its own."""
    value = getattr(zoo, name)
    assert inspect.getdoc(value)
    assert value.__doc__, f"zoo.{name} inherits its docstring"


@pytest.mark.parametrize("command", COMMANDS)
def test_readme_shows_the_command(command: str) -> None:
    """Each command stands in the README as one would type it."""
    assert re.search(rf"\bzoo {command}\b", README)


@pytest.mark.parametrize("name", KNOWN)
def test_guide_names_the_data_set(name: str) -> None:
    """Each data set that has a name."""
    assert f"`{name}`" in TRAINING


@pytest.mark.parametrize("name", [name for own in AUGMENTATIONS.values() for name in own])
def test_guide_names_the_augmentation(name: str) -> None:
    """Each word that a recipe's `augment` takes."""
    assert f"`{name}`" in TRAINING


def test_the_recipes_of_the_guide_are_some(tmp_path: Path) -> None:
    """Each block is a file that can be trained."""
    path = tmp_path / "guide.yaml"
    subjects = []
    for text in TRAINING.split("```yaml\nspec:")[1:]:
        path.write_text(f"spec:{text.partition('```')[0]}")
        subjects.append(read_subject(str(path)))
    images, sounds = subjects
    assert zoo.compose(**images.spec, num_classes=2).spec.backbone.name == "attn_cnn"
    assert sounds.recipe["augment"][3] == {"name": "spec_augment", "times": 2}


@pytest.mark.parametrize("hook", HOOKS)
def test_guide_names_the_hook(hook: str) -> None:
    """Each hook stands in the guide to plug-ins and has a docstring."""
    assert f"`{hook}`" in PLUGINS
    assert inspect.getdoc(getattr(hookspecs, hook))


@pytest.mark.parametrize("component", zoo.list_components(), ids=lambda one: one.title)
def test_component_says_what_it_is(component: zoo.Component) -> None:
    """Each component of ours has a summary in one line, and its class a docstring."""
    assert component.summary
    assert "\n" not in component.summary
    assert inspect.getdoc(component.load())


@pytest.mark.parametrize("row", zoo.list_variants(), ids=lambda one: one.ref)
def test_readme_states_the_figures_of_the_registry(row: zoo.listing.VariantRow) -> None:
    """The table of pretrained variants says what the registry says, digit for digit."""
    line = next(line for line in README.splitlines() if line.startswith(f"| `{row.ref}`"))
    assert f"{row.params:,}" in line
    tested = {name: one for name, one in row.metrics.items() if "/test/" in name}
    assert tested
    said = [one[part] for one in tested.values() for part in ("mean", "value") if part in one]
    assert all(f"{100 * figure:.2f} %" in line for figure in said)


@pytest.mark.parametrize("component", zoo.list_components(), ids=lambda one: one.title)
def test_readme_lists_the_component(component: zoo.Component) -> None:
    """Each component of ours stands in the README's table of what there is."""
    table = README.partition("## What there is")[2].partition("\n## ")[0]
    assert f"`{component.name}`" in table


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Each link within the project names a file that is there, and a heading in it."""
    for target in re.findall(r"\]\((?!https?:)([^)]*)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        assert path.is_file(), target
        assert not anchor or anchor in _anchors(path), target


def _anchors(page: Path) -> set[str]:
    """Those that the headings of a page get: words in small letters, joined by dashes."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

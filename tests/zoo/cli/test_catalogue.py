"""The catalogue's page: current, whole, and Markdown whatever a header says."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

import zoo
from zoo.cli import catalogue
from zoo.cli.catalogue import page
from zoo.cli.costs import Example

PAGE = Path(__file__).parents[3] / "docs" / "catalogue.md"
OURS = [one for one in zoo.list_components() if one.distribution == "attn-zoo"]


@pytest.mark.skipif(not PAGE.is_file(), reason="only a checkout has the page beside the tests")
def test_the_page_is_current() -> None:
    """It is what its command makes: `zoo list --components --markdown > docs/catalogue.md`."""
    assert PAGE.read_text() == page(OURS)


def test_a_row_says_what_the_component_follows_and_costs() -> None:
    """Paper, reference, sizes, formulas with their letters, numbers, and below what differs."""
    text = page([one for one in OURS if one.title in ("attention/se", "backbone/timm/*")])
    assert (
        "| `se` | arXiv 1709.01507 | the paper | 1 and 2 | yes | `2 C h` | `2 C h + C P` | "
        "`h = max(C // reduction, min_hidden)` | 1,024 parameters, 66,560 multiply-adds |\n"
    ) in text
    assert (
        "\n- `se`: Weigh channels by what the whole map says. Differs: hidden width is at" in text
    )
    assert "\n| `timm/*` |  | 2 | no |  |  |\n" in text
    assert "## Pooling heads" not in text


@pytest.mark.parametrize("component", OURS, ids=lambda one: one.title)
def test_every_row_is_full(component: zoo.Component) -> None:
    """The header of each attention and head says what it follows, differs in, and what its letters mean."""
    if component.kind == "backbone":
        pytest.skip("a backbone's header states no formula")
    from zoo.headers import header, sections

    said = sections(header(component.load()))
    assert {"Formula", "Shapes", "Mask", "Cost", "Follows"} <= said.keys()
    assert said["Follows"].startswith(("the paper", "the second paper", "the authors' code")) or (
        said["Follows"] == "common practice" and not component.paper
    )


def test_a_strangers_component_has_a_row(own_catalog: None) -> None:
    """Without a header its formulas are empty; where it cannot be counted the reason stands there."""

    class Odd(nn.Module):
        def __init__(self, channels: int, *, ndim: int = 2) -> None:
            raise RuntimeError("not today")

    zoo.register(zoo.Component(kind="attention", name="odd", target=Odd, summary="Odd | one"))
    (odd,) = (one for one in zoo.list_components("attention") if one.name == "odd")
    text = page([odd])
    assert "## Other attention" in text
    assert "| `odd` |" in text
    assert "not counted: attention/odd: attention/odd cannot be built" in text
    assert "- `odd`: Odd \\| one." in text


def test_a_backbone_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting builds and runs it, which takes most of the time that the page does."""
    counted = []

    def count(component: zoo.Component, name: str) -> Example:
        counted.append((component.title, name))
        return Example((3, 32, 32), 1, 2)

    monkeypatch.setattr(catalogue, "component_cost", count)
    text = page([one for one in OURS if one.title == "backbone/attn_cnn"])
    assert "| (3, 32, 32) | 1 parameter, 2 multiply-adds |" in text
    assert counted == [("backbone/attn_cnn", "attn_cnn")]


def test_the_command_writes_it(command) -> None:
    """Of those components that are asked for; of variants there is none."""
    done = command("list", "--components", "head", "--markdown", "av*")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("# Catalogue\n")
    assert "| `avgmax` | " in done.out
    assert "`gem`" not in done.out
    assert "give --components, too" in command("list", "--markdown").err
    assert "not allowed with" in command("list", "--components", "--markdown", "--json").err

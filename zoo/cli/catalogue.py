"""The catalogue as a page of Markdown: what each component is, follows and costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from zoo.cli.costs import CHANNELS, INPUT_SIZES, SIZES, VOCABULARY, Example, component_cost
from zoo.cli.markdown import as_text, table
from zoo.headers import cost_formulas, header, sections

if TYPE_CHECKING:
    from zoo.component import Component

_TITLES = {
    "channel": "Attention that weighs channels",
    "spatial": "Attention that weighs positions",
    "mixed": "Attention that weighs channels and positions",
    "self": "Self-attention",
    "branch": "Attention in place of a convolution",
    "attention": "Other attention",
    "head": "Pooling heads",
    "backbone": "Backbones",
}
_INTRODUCTION = f"""# Catalogue

Made by `zoo list --components --markdown` from the headers of the components' files and from counted runs.

A component follows its paper or its authors' code where the two disagree; what it does differently stands below
each table. C channels, P positions in all, H and W those of an axis (a sequence has H = 1), other letters beside
the formula; names of options stand for their values, here the defaults. A multiply-add is a product of two
numbers: of convolutions, linear layers and matrices, and number by number as with a gate. Norms, means,
activations, softmax and products with constants are not counted. The numbers are those of one sample: for
attentions and heads a map of {CHANNELS} channels and {" x ".join(map(str, SIZES[2]))} positions; for backbones, where they take any size, an
image of {" x ".join(map(str, INPUT_SIZES["image"]))} pixels, a second of sound, or {INPUT_SIZES["text"][0]} tokens of {VOCABULARY:,}."""
_HEADINGS = (
    "name",
    "paper",
    "follows",
    "ndim",
    "mask",
    "parameters",
    "multiply-adds",
    "with",
    "numbers",
)


def page(components: Iterable[Component]) -> str:
    """The page: a table a family of attentions, one of heads, one of backbones, and what differs."""
    groups: dict[str, list[Component]] = {title: [] for title in _TITLES}
    for component in components:
        groups[component.family or component.kind].append(component)
    blocks = [_INTRODUCTION]
    for title, members in groups.items():
        if members:
            rows = _backbone_rows(members) if title == "backbone" else _rows(members)
            blocks += [f"## {_TITLES[title]}", "\n".join(table(rows))]
            blocks += ["\n".join(_remark(component) for component in members)]
    return "\n\n".join(blocks) + "\n"


def _rows(components: list[Component]) -> Iterator[tuple[str, ...]]:
    yield _HEADINGS
    for component in components:
        said = sections(header(component.load()))
        formula = cost_formulas(said.get("Cost", ""))[0]
        letters = ", ".join(f"{letter} = {value}" for letter, value in formula.letters.items())
        yield (
            f"`{component.name}`",
            component.paper,
            said.get("Follows", ""),
            " and ".join(map(str, component.ndims)),
            "yes" if component.mask else "no",
            _code(formula.parameters),
            _code(formula.multiply_adds),
            _code(letters),
            _numbers(component_cost(component, component.name)),
        )


def _backbone_rows(components: list[Component]) -> Iterator[tuple[str, ...]]:
    yield ("name", "paper", "ndim", "mask", "one sample", "numbers")
    for component in components:
        found = None if component.name.endswith("/*") else component_cost(component, component.name)
        yield (
            f"`{component.name}`",
            component.paper,
            " and ".join(map(str, component.ndims)),
            "yes" if component.mask else "no",
            str(found.shape) if isinstance(found, Example) else "",
            "" if found is None else _numbers(found),
        )


def _numbers(found: Example | str) -> str:
    return found if isinstance(found, str) else found.numbers


def _remark(component: Component) -> str:
    differs = sections(header(component.load())).get("Differs", "")
    text = f"{component.summary.rstrip('.')}." + (f" Differs: {differs}." if differs else "")
    return f"- `{component.name}`: {as_text(text)}"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""

"""What the headers say of costs, held against a counted run of each module."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import zoo_attention
import zoo_pooling

import zoo
from zoo import Component
from zoo.headers import CostFormula, cost_formulas, header, sections

FUNCTIONS = {
    "ceil": np.ceil,
    "floor": np.floor,
    "gcd": np.gcd,
    "len": len,
    "log2": np.log2,
    "max": np.maximum,
    "min": np.minimum,
    "prod": math.prod,
    "sum": np.sum,
}
SHAPES = [(128, 5, 9), (48, 30)]
MORE_SHAPES = [*SHAPES, (16, 8, 4), (8, 9)]
# Another value than the default of each option that formulas name.
OTHER_VALUES = {
    "block_size": 4,
    "channels_per_conv_group": 4,
    "depth": 2,
    "dilation": 2,
    "epsa.groups": (2, 1, 4, 4),
    "factor": 4,
    "group_channels": 8,
    "groups": 4,
    "halo_size": 2,
    "hidden_channels": 32,
    "kernel_size": 5,
    "kernel_sizes": (9, 3, 5, 5),
    "key_width": 8,
    "lka.kernel_size": 9,
    "memory_size": 32,
    "min_hidden": 4,
    "mlp_ratio": 2.5,
    "num_centres": 16,
    "num_frequencies": 8,
    "num_heads": 2,
    "num_kernels": 3,
    "num_paths": 3,
    "num_steps": 3,
    "radix": 1,
    "recurrence": 3,
    "reduction": 4,
    "share": 4,
    "size": 8,
    "table_size": 5,
    "value_reduction": 2,
}
COMPONENTS = [*zoo_attention.COMPONENTS, *zoo_pooling.COMPONENTS]


def evaluate(formula: str, values: Mapping[str, Any]) -> Any:
    """The value of a formula in which factors stand side by side: `2 C (h + 1)`."""
    tokens = re.findall(r"//|[-+*/^(),]|[A-Za-z_]\w*|\d+|\S", formula)
    code = ""
    for before, token in zip(["(", *tokens], tokens, strict=False):
        follows = before == ")" or (before[0].isalnum() and before not in FUNCTIONS)
        starts = token == "(" or token[0].isalnum()
        code += ("*" if follows and starts else "") + {"^": "**"}.get(token, token)
    return eval(code, {"__builtins__": {}}, {**FUNCTIONS, **values})  # text of our own headers


def stated(formulas: list[CostFormula], options: str, values: dict[str, Any]) -> tuple[int, int]:
    """What a header says for these options: those of its defaults, or more, or fewer."""
    assert formulas[0].parameters, "no `... parameters` in the header"
    assert formulas[0].multiply_adds, "no `... multiply-adds` in the header"
    (own,) = (one for one in formulas if one.options == options)
    letters = formulas[0].letters | own.letters
    for letter, formula in letters.items():
        values = values | {letter: evaluate(formula, values)}
    counts = []
    for base, count in zip(formulas[0][1:3], own[1:3], strict=True):
        match = re.fullmatch(r"(.*) (more|fewer)", count)
        value = evaluate(base, values) if match or not count else 0
        change = evaluate(match[1] if match else count or "0", values)
        counts.append(value - change if match and match[2] == "fewer" else value + change)
    assert all(count == int(count) for count in counts), "a formula gives no whole number"
    return int(counts[0]), int(counts[1])


def formulas(component: Component) -> list[CostFormula]:
    """What the header of a component says."""
    return cost_formulas(sections(header(component.load()))["Cost"])


def named(component: Component) -> set[str]:
    """The words in the formulas for the defaults: letters, and names of options."""
    own = formulas(component)[0]
    texts = (own.parameters, own.multiply_adds, *own.letters.values())
    return set(re.findall(r"[a-z_]+", " ".join(texts)))


def check(component: Component, options: str, shapes: list[tuple[int, ...]], **others: Any) -> None:
    """Hold the formula for `options` against counts at several widths and sizes, with `others` given as well."""
    cls = component.load()
    given = eval(f"dict({options})") | others  # text of our own headers
    defaults = {name: p.default for name, p in inspect.signature(cls).parameters.items()}
    symbols = {
        name: np.array(value) if isinstance(value, tuple) else value
        for name, value in (defaults | given).items()
    }
    for channels, *spatial in shapes:
        if len(spatial) in component.ndims:
            module = cls(channels, ndim=len(spatial), **given)
            height, width = [1, *spatial][-2:]
            axes = {"C": channels, "P": height * width, "H": height, "W": width}
            values = symbols | axes | {"ndim": len(spatial)}
            found = zoo.cost(module, (channels, *spatial))
            assert stated(formulas(component), options, values) == found


@pytest.mark.parametrize(
    ("component", "options"),
    [
        pytest.param(one, formula.options, id=f"{one.name}-{formula.options}")
        for one in COMPONENTS
        for formula in formulas(one)
    ],
)
def test_the_header_states_what_is_counted(component: Component, options: str) -> None:
    """Parameters and multiply-adds are exactly those of the formulas."""
    check(component, options, SHAPES)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("component", "option"),
    [
        pytest.param(one, option, id=f"{one.name}-{option}")
        for one in COMPONENTS
        for option in inspect.signature(one.load()).parameters
        if option in named(one) - {"ndim"}
    ],
)
def test_an_option_in_a_formula_stands_for_its_value(component: Component, option: str) -> None:
    """The formula for the defaults holds for another value of each option that it names."""
    value = OTHER_VALUES.get(f"{component.name}.{option}", OTHER_VALUES.get(option))
    check(component, "", MORE_SHAPES, **{option: value})


def test_a_wrong_formula_is_noticed() -> None:
    """One parameter or product more, and what is stated is not what is counted."""
    module = zoo_attention.COMPONENTS[0].load()(64)
    own = formulas(zoo_attention.COMPONENTS[0])
    values = {"C": 64, "P": 20, "reduction": 16, "min_hidden": 8}
    found = zoo.cost(module, (64, 4, 5))
    assert stated(own, "", dict(values)) == found
    for name in ("parameters", "multiply_adds"):
        wrong = own[0]._replace(**{name: getattr(own[0], name) + " + 1"})
        assert stated([wrong], "", dict(values)) != found


def test_formulas_are_read_as_they_are_meant() -> None:
    """Side by side is a product, `^` a power, and brackets after a letter no call."""
    values = {"C": 4, "P": 5, "reduction": 3, "ks": np.array([3, 5])}
    for text, value in (
        ("2 C (P + 1)", 48),
        ("P (C + 1)", 25),
        ("3^2 C P", 180),
        ("C (1 + 1)^2 P", 80),
        ("max(C // reduction, 2) C", 8),
        ("sum(ks^2 / gcd(C, 2))", 17),
    ):
        assert evaluate(text, values) == value

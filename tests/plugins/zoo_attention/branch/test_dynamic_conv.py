"""DynamicConv against its formula in einsum, and against timm's CondConv2d."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional
from zoo_attention.branch.dynamic_conv import DynamicConv

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, module: DynamicConv, temperature: float) -> torch.Tensor:
    """Equations 2 and 3 of the paper, for (N, C, L): every kernel convolves, and then they mix."""
    y = torch.zeros_like(x)
    for n in range(x.shape[0]):
        z = torch.stack([x[n, c].sum() / x.shape[2] for c in range(x.shape[1])])
        hidden = torch.einsum("hc,c->h", module.reduce.weight, z)
        hidden = torch.where(hidden > 0, hidden, 0)
        scores = torch.einsum("kh,h->k", module.expand.weight, hidden) + module.expand.bias
        powers = (scores / temperature).exp()
        for k, power in enumerate(powers):
            bias = None if module.bias is None else module.bias[k]
            half = module.kernels.shape[3] // 2
            read = functional.conv1d(
                x[n : n + 1], module.kernels[k], bias, padding=half, groups=module.groups
            )
            y[n] += power / powers.sum() * read[0]
    return y


def sharp(channels: int, **options: object) -> DynamicConv:
    """Return a module in float64 whose shares differ."""
    torch.manual_seed(0)
    module = DynamicConv(channels, **options).double()
    torch.nn.init.normal_(module.expand.weight, std=5)
    return module


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = DynamicConv(4, ndim=1, temperature=1.0)
    return module, (4, 5), lambda x: by_the_paper(x, module, 1.0)


@torch.no_grad()
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 1.0},
        {"groups": 2, "kernel_size": 5},
        {"num_kernels": 1},
        {"use_bias": False},
    ],
)
def test_follows_the_formula(options: dict[str, object]) -> None:
    """The output is that of the paper's equations, with each option that changes them."""
    module = sharp(4, ndim=1, **options)
    x = torch.randn(3, 4, 6, dtype=torch.float64)
    expected = by_the_paper(x, module, options.get("temperature", 30.0))
    torch.testing.assert_close(module(x), expected)


def test_one_dimension_is_a_map_of_one_row() -> None:
    """On (N, C, L) it does what it does on (N, C, 1, L) with the middle row of its kernels."""
    line, plane = sharp(8, ndim=1), sharp(8)
    state = line.state_dict()
    state["weight"] = functional.pad(line.kernels.unsqueeze(3), (0, 0, 1, 1)).flatten(2)
    plane.load_state_dict(state)
    x = torch.randn(2, 8, 9, dtype=torch.float64)
    torch.testing.assert_close(line(x), plane(x.unsqueeze(2)).squeeze(2))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = sharp(2, ndim=1, min_hidden=3)
    x = torch.randn(2, 2, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


@torch.no_grad()
def test_equals_timm() -> None:
    """With our shares as routing weights, timm's CondConv2d gives the same numbers."""
    layers = pytest.importorskip("timm.layers")
    ours = sharp(8).float()
    theirs = layers.CondConv2d(8, 8, 3, padding=1, bias=True, num_experts=4)
    theirs.load_state_dict({"weight": ours.weight.flatten(1), "bias": ours.bias})
    x = torch.randn(3, 8, 6, 5)
    torch.testing.assert_close(ours(x), theirs(x, ours._kernel(x, None)[0]))


def test_temperature_starts_high_and_stays() -> None:
    """Neither training nor eval mode nor a forward pass changes it."""
    module = DynamicConv(8)
    for is_training in (True, False):
        module.train(is_training)(torch.randn(2, 8, 3, 3))
        assert module.temperature == 30
    assert "temperature" not in dict(module.named_parameters())


def test_temperature_is_saved_with_the_weights() -> None:
    """A module that loads the state of an annealed one gives its numbers."""
    module, other = sharp(8), sharp(8)
    x = torch.randn(2, 8, 3, 3, dtype=torch.float64)
    before = module(x)
    module.set_temperature(1.0)
    assert not torch.allclose(module(x), before)
    other.load_state_dict(module.state_dict())
    torch.testing.assert_close(other(x), module(x))
    torch.testing.assert_close(copy.deepcopy(module)(x), module(x))


def test_temperature_makes_shares_even() -> None:
    """A very high temperature mixes all kernels equally."""
    module = sharp(8)
    module.set_temperature(1e9)
    shares = module._kernel(torch.randn(2, 8, 3, 3, dtype=torch.float64), None)[0]
    torch.testing.assert_close(shares, torch.full_like(shares, 0.25))


def test_attention_map_is_the_norm_of_the_kernel() -> None:
    """A channel made by a kernel of zeros has weight 0."""
    module = DynamicConv(8)
    with torch.no_grad():
        module.kernels[:, 3] = 0
    found = module.attention_map(torch.randn(2, 8, 4, 3)).channel
    assert (found[:, 3] == 0).all()
    assert (found[:, :3] > 0).all()


@pytest.mark.parametrize("temperature", [0, -1.0, float("inf"), float("nan"), "30", True])
def test_refuses_a_bad_temperature(temperature: object) -> None:
    """A temperature is a finite number above 0, at construction and after."""
    with pytest.raises(InvalidValue, match=r"DynamicConv: temperature is .* finite number above 0"):
        DynamicConv(8, temperature=temperature)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(InvalidValue, match=r"DynamicConv: temperature is .* finite number above 0"):
        DynamicConv(8).set_temperature(temperature)  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_kernels": 0}, "num_kernels is 0, but must be a whole number"),
        ({"kernel_size": 4}, "kernel_size is 4, but must be an odd whole number"),
        ({"groups": 0}, "groups is 0, but must be a whole number"),
        ({"groups": 5}, "channels is 64, but must be a multiple of 5, groups"),
        ({"reduction": 0.5}, "reduction is 0.5, but must be a whole number"),
        ({"min_hidden": None}, "min_hidden is None, but must be a whole number"),
        ({"use_bias": 1}, "use_bias is 1, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"DynamicConv: {message}"):
        DynamicConv(64, **options)  # type: ignore[arg-type]  # what is tested

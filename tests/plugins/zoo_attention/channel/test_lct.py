"""LinearContextTransform against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.channel.lct import LinearContextTransform

from zoo import InvalidValue

MASK = torch.tensor([[True, True, True, False], [True, True, False, False]])


def randomize(module: LinearContextTransform) -> LinearContextTransform:
    """Return the module in float64 with random parameters: at its start all gates are the same."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    return module.double()


def by_the_paper(x: torch.Tensor, module: LinearContextTransform, groups: int) -> torch.Tensor:
    """Average, normalise each group and excite, number by number."""
    w, b = module.norm.weight.tolist(), module.norm.bias.tolist()
    size = x.shape[1] // groups
    y = torch.empty_like(x)
    for n in range(x.shape[0]):
        z = [sum(at.flatten().tolist()) / at.numel() for at in x[n]]
        for c in range(x.shape[1]):
            group = z[c // size * size : (c // size + 1) * size]
            mean = sum(group) / size
            variance = sum((v - mean) ** 2 for v in group) / size
            normal = (z[c] - mean) / math.sqrt(variance + 1e-5)
            y[n, c] = x[n, c] / (1 + math.exp(-(w[c] * normal + b[c])))
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = LinearContextTransform(6, groups=2)
    return module, (6, 3, 2), lambda x: by_the_paper(x, module, 2)


@pytest.mark.parametrize(("groups", "used"), [(1, 1), (2, 2), (3, 3), (5, 3), (16, 3)])
def test_follows_the_formula(groups: int, used: int) -> None:
    """The output is that of the equations; of 6 channels at most 3 groups are made."""
    module = randomize(LinearContextTransform(6, groups=groups))
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64) + torch.randn(2, 6, 1, 1)
    torch.testing.assert_close(module(x), by_the_paper(x, module, used))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = randomize(LinearContextTransform(4, ndim=1))
    x = torch.randn(2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, MASK), (x,))


def test_starts_with_one_gate_for_all() -> None:
    """With w = 0 and b = 1 each channel has the weight sigmoid(1), whatever the input."""
    gate = LinearContextTransform(8).attention_map(torch.randn(2, 8, 4, 3)).channel
    torch.testing.assert_close(gate, torch.full((2, 8), 1 / (1 + math.exp(-1))))


def test_large_equal_means_do_not_cancel() -> None:
    """Where all means are one large number, their variance is nearly 0 and never less."""
    module = LinearContextTransform(8)
    torch.nn.init.ones_(module.norm.weight)
    x = torch.full((1, 8, 3, 3), 12345.678)
    torch.testing.assert_close(module(x), x / (1 + math.exp(-1)), rtol=0.01, atol=0)


def test_channels_of_other_groups_do_not_matter() -> None:
    """A group's gates stay when another group's means change."""
    module = randomize(LinearContextTransform(8, groups=2)).float()
    x = torch.randn(1, 8, 4, 3)
    other = torch.cat([x[:, :4], 3 * x[:, 4:]], 1)
    before, after = module.attention_map(x).channel, module.attention_map(other).channel
    torch.testing.assert_close(before[:, :4], after[:, :4])


@pytest.mark.parametrize("needs_grad", [False, True])
def test_means_are_not_rounded_before_they_are_compared(needs_grad: bool) -> None:
    """In bfloat16 gates are those of float32: means that lie close to each other stay apart."""
    generator = torch.Generator().manual_seed(0)
    x = (1 + 0.3 * torch.randn(2, 64, 16, 16, generator=generator)).bfloat16()
    module = LinearContextTransform(64)
    torch.nn.init.ones_(module.norm.weight)
    exact = x.float() * module.attention_map(x.float()).channel[..., None, None]
    for each in (module, module.bfloat16()):
        found = each(x.requires_grad_(needs_grad)).detach()
        assert (found.float() - exact).abs().max() < 0.02


def test_refuses_bad_options() -> None:
    """The number of groups is at least 1."""
    with pytest.raises(InvalidValue, match="LinearContextTransform: groups is 0, but must be"):
        LinearContextTransform(8, groups=0)

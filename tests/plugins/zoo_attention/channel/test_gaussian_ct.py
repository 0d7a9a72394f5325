"""GaussianContext against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.channel.gaussian_ct import GaussianContext

from zoo import InvalidValue

MASK = torch.tensor([[True, True, True, False], [True, True, False, False]])


def randomize(module: GaussianContext) -> GaussianContext:
    """Return the module in float64 with random parameters, so that it is no identity."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    return module.double()


def by_the_paper(x: torch.Tensor, width: float, *, squared: bool = False) -> torch.Tensor:
    """Average, normalise and excite, number by number; eps outside of the root, or squared inside."""
    channels = x.shape[1]
    y = torch.empty_like(x)
    for n in range(x.shape[0]):
        z = [sum(at.flatten().tolist()) / at.numel() for at in x[n]]
        mean = sum(z) / channels
        variance = sum((v - mean) ** 2 for v in z) / channels
        divisor = math.sqrt(variance + 1e-10) if squared else math.sqrt(variance) + 1e-5
        for c in range(channels):
            u = (z[c] - mean) / divisor
            y[n, c] = x[n, c] * math.exp(-(u**2) / (2 * width**2))
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = GaussianContext(4)
    return module, (4, 3, 2), lambda x: by_the_paper(x, 2.0, squared=True)


@pytest.mark.parametrize("width", [2.0, 0.5])
def test_follows_the_formula(width: float) -> None:
    """The output is that of the equations, but for where eps stands."""
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64) + torch.randn(2, 5, 1, 1)
    found = GaussianContext(5, width=width)(x)
    torch.testing.assert_close(found, by_the_paper(x, width), rtol=1e-4, atol=1e-4)


def test_a_learnt_width_lies_between_1_and_4() -> None:
    """It starts in the middle, and its parameter moves it within its bounds."""
    module = GaussianContext(5, is_learnable=True).double()
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    for theta, width in ((0.0, 2.5), (-50.0, 1.0), (50.0, 4.0)):
        torch.nn.init.constant_(module.theta, theta)
        torch.testing.assert_close(module(x), GaussianContext(5, width=width)(x))


@pytest.mark.parametrize("is_learnable", [False, True])
def test_gradient_is_that_of_differences(is_learnable: bool) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = randomize(GaussianContext(3, ndim=1, is_learnable=is_learnable))
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, MASK), (x,))


def test_a_wider_gaussian_forgives_more() -> None:
    """The width divides: with a large one all channels keep nearly their full weight."""
    x = torch.randn(2, 8, 4, 4)
    narrow, wide = (GaussianContext(8, width=w).attention_map(x).channel for w in (0.5, 50.0))
    assert narrow.min() < 0.5
    assert wide.min() > 0.99


def test_channels_that_agree_keep_their_weight() -> None:
    """Where all channels have one mean there is no 0/0: all have weight 1."""
    x = torch.full((1, 8, 3, 3), 2.0, requires_grad=True)
    y = GaussianContext(8)(x)
    assert torch.equal(y, x)
    y.sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_half_precision_divides_by_no_zero(scale: float) -> None:
    """In float16 flat channels that agree keep their weight, and gradients are finite, as those of others."""
    x = torch.full((1, 8, 3, 3), scale, dtype=torch.float16)
    assert torch.equal(GaussianContext(8)(x), x)
    x = (x + torch.randn(1, 8, 3, 3).half() * scale).requires_grad_()
    GaussianContext(8)(x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("needs_grad", [False, True])
def test_means_are_not_rounded_before_they_are_compared(needs_grad: bool) -> None:
    """In bfloat16 gates are those of float32: means that lie close to each other stay apart."""
    generator = torch.Generator().manual_seed(0)
    x = (1 + 0.3 * torch.randn(2, 64, 16, 16, generator=generator)).bfloat16()
    module = GaussianContext(64)
    exact = x.float() * module.attention_map(x.float()).channel[..., None, None]
    found = module(x.requires_grad_(needs_grad)).detach()
    assert (found.float() - exact).abs().max() < 0.02
    torch.testing.assert_close(module.attention_map(x).channel, exact[..., 0, 0] / x[..., 0, 0])


def test_has_at_most_one_parameter() -> None:
    """A fixed width is no parameter, a learnt one is a single number."""
    assert GaussianContext(8).state_dict() == {}
    assert [p.numel() for p in GaussianContext(8, is_learnable=True).parameters()] == [1]


def test_attention_map_is_the_gate() -> None:
    """The output is the input times the map."""
    x = torch.randn(2, 8, 4, 3)
    module = GaussianContext(8)
    torch.testing.assert_close(module(x), x * module.attention_map(x).channel[..., None, None])


def test_refuses_bad_options() -> None:
    """The width is above 0, the flag a flag."""
    with pytest.raises(InvalidValue, match="GaussianContext: width is 0, but must be a finite"):
        GaussianContext(8, width=0)
    with pytest.raises(InvalidValue, match="is_learnable is 1, but must be True or False"):
        GaussianContext(8, is_learnable=1)  # type: ignore[arg-type]  # what is tested

"""LargeKernelAttention against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.spatial.lka import LargeKernelAttention

from zoo import InvalidValue

MASK = torch.tensor([[True, True, True, False], [True, True, False, False]])


def conv(x: torch.Tensor, layer: torch.nn.Conv2d) -> torch.Tensor:
    """Return a convolution of x (N, C, H, W) with zeros beyond its borders, tap by tap."""
    y = torch.zeros_like(x)
    height, width = x.shape[2:]
    taps, weight = layer.kernel_size, layer.weight.detach()
    for row in range(height):
        for column in range(width):
            for i in range(taps[0]):
                for j in range(taps[1]):
                    at = row + (i - taps[0] // 2) * layer.dilation[0]
                    to = column + (j - taps[1] // 2) * layer.dilation[1]
                    if not (0 <= at < height and 0 <= to < width):
                        continue
                    if layer.groups == 1:
                        y[:, :, row, column] += x[:, :, at, to] @ weight[:, :, i, j].t()
                    else:
                        y[:, :, row, column] += x[:, :, at, to] * weight[:, 0, i, j]
    return y if layer.bias is None else y + layer.bias.detach()[:, None, None]


def gelu(x: torch.Tensor) -> torch.Tensor:
    """Return x times the share of a normal distribution that is under it."""
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def by_the_paper(x: torch.Tensor, module: LargeKernelAttention) -> torch.Tensor:
    """Near, far and mixing convolutions weigh their own input."""

    def weigh(u: torch.Tensor) -> torch.Tensor:
        return conv(conv(conv(u, module.near), module.far), module.mix) * u

    if module.before is None:
        return weigh(x)
    return x + conv(weigh(gelu(conv(x, module.before))), module.after)


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = LargeKernelAttention(4)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize("use_projections", [False, True])
@pytest.mark.parametrize("use_bias", [False, True])
def test_follows_the_formula(use_projections: bool, use_bias: bool) -> None:
    """The output is that of the equations."""
    torch.manual_seed(0)
    module = LargeKernelAttention(4, use_projections=use_projections, use_bias=use_bias)
    module = module.double()
    x = torch.randn(2, 4, 4, 3, dtype=torch.float64)
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


@pytest.mark.parametrize("use_projections", [False, True])
def test_gradient_is_that_of_differences(use_projections: bool) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    module = LargeKernelAttention(2, ndim=1, use_projections=use_projections).double()
    x = torch.randn(2, 2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, MASK), (x,))


def test_padding_changes_nothing_between_projections() -> None:
    """With projections, too, real positions come out as without padding, and padding stays finite."""
    torch.manual_seed(0)
    module = LargeKernelAttention(4, ndim=1, use_projections=True)
    x = torch.randn(2, 4, 5)
    padded = torch.cat([x, torch.full((2, 4, 3), 9.0)], 2)
    mask = (torch.arange(8) < 5).expand(2, 8)
    y = module(padded, mask)
    torch.testing.assert_close(y[..., :5], module(x), rtol=1e-5, atol=1e-5)
    assert y.isfinite().all()


def test_has_no_bound() -> None:
    """Nothing makes a gate of the weights: without biases twice the input gives four times the output."""
    module = LargeKernelAttention(4, use_bias=False).double()
    x = torch.randn(1, 4, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(module(2 * x), 4 * module(x))


def test_one_dimension_is_a_map_of_one_row() -> None:
    """On (N, C, L) it does what it does on (N, C, 1, L) with the middle rows of its kernels."""
    torch.manual_seed(0)
    line = LargeKernelAttention(4, ndim=1).double()
    plane = LargeKernelAttention(4).double()
    with torch.no_grad():
        for name in ("near", "far", "mix"):
            one, two = getattr(line, name), getattr(plane, name)
            two.weight[:, :, two.kernel_size[0] // 2] = one.weight
            two.bias.copy_(one.bias)
    x = torch.randn(2, 4, 9, dtype=torch.float64)
    torch.testing.assert_close(line(x), plane(x.unsqueeze(2)).squeeze(2))


@pytest.mark.parametrize(
    ("kernel_size", "dilation", "near", "far"), [(21, 3, 5, 7), (7, 2, 3, None), (35, 4, 7, 9)]
)
def test_small_kernels_follow_from_the_large_one(
    kernel_size: int, dilation: int, near: int, far: int | None
) -> None:
    """The sides are 2 d - 1 and ceil(K / d), which must have a middle."""
    if far is None:
        with pytest.raises(InvalidValue, match="rounded up, is 4, but must be an odd whole number"):
            LargeKernelAttention(8, kernel_size=kernel_size, dilation=dilation)
        return
    module = LargeKernelAttention(8, kernel_size=kernel_size, dilation=dilation)
    assert (module.near.kernel_size[0], module.far.kernel_size[0]) == (near, far)


def test_attention_map_is_the_mean_weight() -> None:
    """The map is the mean over channels of what the input is multiplied by."""
    module = LargeKernelAttention(8)
    x = torch.rand(2, 8, 4, 3) + 0.5
    torch.testing.assert_close(module.attention_map(x).spatial, (module(x) / x).mean(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 0}, "kernel_size is 0, but must be a whole number of at least 1"),
        ({"dilation": 0}, "dilation is 0, but must be a whole number of at least 1"),
        ({"use_projections": 1}, "use_projections is 1, but must be True or False"),
        ({"use_bias": 1}, "use_bias is 1, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"LargeKernelAttention: {message}"):
        LargeKernelAttention(8, **options)  # type: ignore[arg-type]  # what is tested

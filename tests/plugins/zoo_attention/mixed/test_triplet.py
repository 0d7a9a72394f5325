"""TripletAttention against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.mixed.triplet import TripletAttention

from zoo import InvalidValue


def gate(x: torch.Tensor, plane: nn.Module) -> torch.Tensor:
    """Pool (D, A, B) over D, convolve, normalise in eval mode and squash, number by number."""
    kernel = plane.conv.weight.detach()[0]
    half = kernel.shape[1] // 2
    norm = plane.norm
    out = torch.empty_like(x[0])
    for a in range(x.shape[1]):
        for b in range(x.shape[2]):
            value = 0.0
            for i in range(-half, half + 1):
                for j in range(-half, half + 1):
                    if 0 <= a + i < x.shape[1] and 0 <= b + j < x.shape[2]:
                        at = x[:, a + i, b + j].tolist()
                        value += kernel[0, i + half, j + half].item() * max(at)
                        value += kernel[1, i + half, j + half].item() * sum(at) / len(at)
            value = (value - norm.running_mean.item()) / math.sqrt(
                norm.running_var.item() + norm.eps
            )
            value = value * norm.weight.item() + norm.bias.item()
            out[a, b] = 1 / (1 + math.exp(-value))
    return out


def by_the_paper(x: torch.Tensor, module: TripletAttention) -> torch.Tensor:
    """Rotate the map, gate it, rotate it back, three times; then the mean."""
    y = torch.empty_like(x)
    for n in range(len(x)):
        branches = []
        for plane, order in (  # which axes of (C, H, W) are D, A, B
            (module.row_channel, (2, 1, 0)),
            (module.channel_column, (1, 0, 2)),
            (module.row_column, (0, 1, 2)),
        ):
            rotated = x[n].permute(order)
            weighed = rotated * gate(rotated, plane)
            branches.append(weighed.permute([order.index(axis) for axis in range(3)]))
        y[n] = sum(branches) / 3
    return y


def build(**options: int) -> TripletAttention:
    """Return the module in float64 with random norms."""
    torch.manual_seed(0)
    module = TripletAttention(4, **options)
    for name, value in module.state_dict().items():
        if "norm" in name and value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5)
    return module.double()


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = TripletAttention(4, kernel_size=3)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize("kernel_size", [3, 7])
def test_follows_the_formula(kernel_size: int) -> None:
    """The output is that of the paper's equations."""
    module = build(kernel_size=kernel_size).eval()
    x = torch.randn(1, 4, 5, 3, dtype=torch.float64)
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


def test_gradient_is_that_of_differences() -> None:
    """In training, gradients agree with finite differences, with a mask as well."""
    module = build(kernel_size=3)
    x = torch.randn(2, 4, 3, 2, dtype=torch.float64, requires_grad=True)
    mask = torch.ones(2, 3, 2, dtype=torch.bool)
    mask[0, 2], mask[1, 0, 1], mask[1, :, 0] = False, False, False
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_padding_teaches_the_norms_nothing() -> None:
    """In training, padding changes neither output nor running statistics."""
    module, other = build(), build()
    x = torch.randn(2, 4, 3, 4, dtype=torch.float64)
    padded = torch.full((2, 4, 5, 6), 9.0, dtype=torch.float64)
    padded[..., :3, :4] = x
    mask = torch.zeros(2, 5, 6, dtype=torch.bool)
    mask[:, :3, :4] = True
    torch.testing.assert_close(other(padded, mask)[..., :3, :4], module(x))
    torch.testing.assert_close(other.state_dict(), module.state_dict())
    assert module.row_column.norm.num_batches_tracked == 1


def test_gates_fall_under_one_half() -> None:
    """No ReLU stands before the sigmoid."""
    torch.manual_seed(0)
    found = TripletAttention(8).attention_map(torch.randn(4, 8, 9, 9)).spatial
    assert 0 < found.min() < 0.5 < found.max() < 1


def test_attention_map_is_the_mean_gate() -> None:
    """The maps are the means of what the input is multiplied by."""
    module = build().eval()
    x = torch.rand(2, 4, 4, 3, dtype=torch.float64) + 0.5
    found, expected = module.attention_map(x), module(x) / x
    torch.testing.assert_close(found.channel, expected.mean((2, 3)))
    torch.testing.assert_close(found.spatial, expected.mean(1))


def test_refuses_one_dimension_and_an_even_kernel() -> None:
    """Three planes need two axes besides the channels; a kernel has a middle."""
    with pytest.raises(InvalidValue, match="TripletAttention: ndim is 1, but must be 2"):
        TripletAttention(8, ndim=1)
    with pytest.raises(InvalidValue, match="kernel_size is 4, but must be an odd whole number"):
        TripletAttention(8, kernel_size=4)

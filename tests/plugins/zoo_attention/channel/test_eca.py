"""EfficientChannelAttention against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.channel.eca import EfficientChannelAttention

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, weight: list[float]) -> torch.Tensor:
    """Weigh channel c by the means of its k neighbours, number by number."""
    samples, channels, *size = x.shape
    half = len(weight) // 2
    y = torch.empty_like(x)
    for n in range(samples):
        z = [sum(v.item() for v in x[n, c].flatten()) / math.prod(size) for c in range(channels)]
        for c in range(channels):
            logit = sum(
                weight[j] * z[c + j - half]
                for j in range(len(weight))
                if 0 <= c + j - half < channels
            )
            y[n, c] = x[n, c] / (1 + math.exp(-logit))
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = EfficientChannelAttention(6, kernel_size=3)
    return module, (6, 3, 2), lambda x: by_the_paper(x, module.conv.weight.flatten().tolist())


@pytest.mark.parametrize("size", [(3, 2), (5,)])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_follows_the_formula(size: tuple[int, ...], kernel_size: int) -> None:
    """The output is that of the paper's local interaction."""
    torch.manual_seed(0)
    module = EfficientChannelAttention(6, ndim=len(size), kernel_size=kernel_size).double()
    x = torch.randn(2, 6, *size, dtype=torch.float64)
    expected = by_the_paper(x, module.conv.weight.flatten().tolist())
    torch.testing.assert_close(module(x).detach(), expected)


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = EfficientChannelAttention(5, ndim=1).double()
    x = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


@pytest.mark.parametrize(
    ("channels", "size"),
    [(1, 1), (8, 3), (16, 3), (64, 3), (96, 3), (128, 5), (256, 5), (512, 5), (2048, 7)],
)
def test_kernel_follows_the_width(channels: int, size: int) -> None:
    """The kernel is the odd number nearest to half the logarithm of the width and a half."""
    assert EfficientChannelAttention(channels).conv.kernel_size == (size,)
    exact = math.log2(channels) / 2 + 1 / 2
    assert abs(size - exact) <= 1
    assert EfficientChannelAttention(channels).conv.bias is None


@pytest.mark.parametrize("channels", [8, 64, 256])
def test_equals_timm(channels: int) -> None:
    """With the same weights it gives the numbers of timm's EcaModule."""
    layers = pytest.importorskip("timm.layers")
    theirs = layers.EcaModule(channels)
    ours = EfficientChannelAttention(channels)
    ours.conv.load_state_dict(theirs.conv.state_dict())
    x = torch.randn(2, channels, 5, 3)
    torch.testing.assert_close(ours(x), theirs(x))


def test_attention_map_is_the_gate() -> None:
    """The output is the input times the map."""
    module = EfficientChannelAttention(8)
    x = torch.randn(2, 8, 4, 3)
    torch.testing.assert_close(module(x), x * module.attention_map(x).channel[..., None, None])


@pytest.mark.parametrize("kernel_size", [0, 2, -3, 3.0, True, "3"])
def test_refuses_a_bad_kernel(kernel_size: object) -> None:
    """A kernel needs a middle."""
    with pytest.raises(InvalidValue, match=r"kernel_size is .*, but must be an odd whole number"):
        EfficientChannelAttention(64, kernel_size=kernel_size)  # type: ignore[arg-type]  # tested

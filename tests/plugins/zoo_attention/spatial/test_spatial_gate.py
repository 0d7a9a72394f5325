"""SpatialGate against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.mixed.cbam import ConvBlockAttention
from zoo_attention.spatial.spatial_gate import SpatialGate

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, module: SpatialGate) -> torch.Tensor:
    """Equation 3 of the paper for (N, C, H, W), position by position."""
    kernel = module.conv.weight.detach()[0]  # (2, k, k), of the mean and of the maximum
    half = kernel.shape[1] // 2
    height, width = x.shape[2:]
    y = torch.empty_like(x)
    for n in range(x.shape[0]):
        for row in range(height):
            for column in range(width):
                logit = 0.0
                for i in range(max(row - half, 0), min(row + half + 1, height)):
                    for j in range(max(column - half, 0), min(column + half + 1, width)):
                        at, tap = (
                            x[n, :, i, j].tolist(),
                            kernel[:, i - row + half, j - column + half],
                        )
                        logit += tap[0].item() * sum(at) / len(at) + tap[1].item() * max(at)
                y[n, :, row, column] = x[n, :, row, column] / (1 + math.exp(-logit))
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = SpatialGate(4, kernel_size=3)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize("kernel_size", [1, 3, 7])
def test_follows_the_formula(kernel_size: int) -> None:
    """The output is that of the paper's equation."""
    torch.manual_seed(0)
    module = SpatialGate(4, kernel_size=kernel_size).double()
    x = torch.randn(2, 4, 5, 3, dtype=torch.float64)
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


@pytest.mark.parametrize("use_batch_norm", [False, True])
def test_gradient_is_that_of_differences(use_batch_norm: bool) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    module = SpatialGate(3, ndim=1, use_batch_norm=use_batch_norm).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


@pytest.mark.parametrize("is_training", [False, True])
def test_equals_timm(is_training: bool) -> None:
    """With the same weights and a batch norm it gives the numbers of timm's SpatialAttn."""
    cbam = pytest.importorskip("timm.layers.cbam")
    theirs = cbam.SpatialAttn().train(is_training)
    ours = SpatialGate(8, use_batch_norm=True).train(is_training)
    state = {f"norm.{name}": value for name, value in theirs.conv.bn.state_dict().items()}
    ours.load_state_dict({"conv.weight": theirs.conv.conv.weight, **state})
    x = torch.randn(2, 8, 6, 5)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("use_batch_norm", [False, True])
def test_is_the_second_half_of_cbam(use_batch_norm: bool) -> None:
    """With CBAM's weights it does what CBAM does to positions, and the names are the same."""
    torch.manual_seed(0)
    whole = ConvBlockAttention(8, use_batch_norm=use_batch_norm).eval()
    half = SpatialGate(8, use_batch_norm=use_batch_norm).eval()
    half.load_state_dict({k: v for k, v in whole.state_dict().items() if k[:4] in ("conv", "norm")})
    x = torch.randn(2, 8, 5, 4)
    u = x * whole.attention_map(x).channel[..., None, None]
    torch.testing.assert_close(half(u), whole(x))


def test_batch_norm_refuses_one_position_in_training() -> None:
    """One position has no variance to learn; in eval mode it is welcome."""
    module = SpatialGate(8, use_batch_norm=True)
    x = torch.randn(1, 8, 1, 1)
    with pytest.raises(
        InvalidValue, match=r"SpatialGate: the number of positions .* is 1, but must"
    ):
        module(x)
    assert module.eval()(x).isfinite().all()


def test_attention_map_is_the_gate() -> None:
    """The output is the input times the map."""
    module = SpatialGate(8)
    x = torch.randn(2, 8, 4, 3)
    torch.testing.assert_close(module(x), x * module.attention_map(x).spatial.unsqueeze(1))


def test_refuses_bad_options() -> None:
    """A kernel has a middle, a flag is a flag."""
    with pytest.raises(InvalidValue, match="SpatialGate: kernel_size is 4, but must be an odd"):
        SpatialGate(8, kernel_size=4)
    with pytest.raises(InvalidValue, match="use_batch_norm is 1, but must be True or False"):
        SpatialGate(8, use_batch_norm=1)  # type: ignore[arg-type]  # what is tested

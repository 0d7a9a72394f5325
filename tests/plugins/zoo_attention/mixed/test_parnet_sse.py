"""ParNetSkipSqueezeExcite against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.mixed.parnet_sse import ParNetSkipSqueezeExcite


def normalize(x: torch.Tensor, norm: nn.BatchNorm2d) -> torch.Tensor:
    """Apply a batch norm in eval mode to (C, H, W)."""
    out = torch.empty_like(x)
    for c in range(len(x)):
        scale = norm.weight[c].item() / math.sqrt(norm.running_var[c].item() + norm.eps)
        out[c] = (x[c] - norm.running_mean[c].item()) * scale + norm.bias[c].item()
    return out


def by_the_paper(x: torch.Tensor, module: ParNetSkipSqueezeExcite) -> torch.Tensor:
    """The block for (N, C, H, W), tap by tap: its three branches, their sum, and the SiLU."""
    y = torch.empty_like(x)
    wide, narrow = module.wide.weight.detach(), module.narrow.weight.detach()[..., 0, 0]
    for n in range(len(x)):
        a, b = torch.zeros_like(x[n]), torch.zeros_like(x[n])
        for row in range(x.shape[2]):
            for column in range(x.shape[3]):
                b[:, row, column] = narrow @ x[n, :, row, column]
                for i in range(3):
                    for j in range(3):
                        r, c = row + i - 1, column + j - 1
                        if 0 <= r < x.shape[2] and 0 <= c < x.shape[3]:
                            a[:, row, column] += wide[:, :, i, j] @ x[n, :, r, c]
        z = normalize(x[n], module.skip_norm)
        logits = module.excite.weight.detach() @ (z.sum((1, 2)) / z[0].numel())
        gated = torch.stack([v / (1 + math.exp(-g)) for v, g in zip(z, logits, strict=True)])
        total = normalize(a, module.wide_norm) + normalize(b, module.narrow_norm) + gated
        y[n] = total / (1 + torch.exp(-total))
    return y


def build(channels: int, **options: int) -> ParNetSkipSqueezeExcite:
    """Return the module in float64 with random norms."""
    torch.manual_seed(0)
    module = ParNetSkipSqueezeExcite(channels, **options)
    for name, value in module.state_dict().items():
        if "norm" in name and value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5)
    return module.double()


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = ParNetSkipSqueezeExcite(4)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


def test_follows_the_formula() -> None:
    """The output is that of the paper's block, its batch norm on the skip connection included."""
    module = build(4).eval()
    x = torch.randn(2, 4, 4, 3, dtype=torch.float64) * 2
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


def test_one_dimension_is_a_map_of_one_row() -> None:
    """On (N, C, L) it does what it does on (N, C, 1, L) with the middle row of its kernel."""
    line, plane = build(8, ndim=1), build(8)
    for name, value in line.state_dict().items():
        target = plane.state_dict()[name]
        (target[:, :, target.shape[2] // 2] if target.ndim == 4 else target).copy_(value)
    x = torch.randn(2, 8, 9, dtype=torch.float64)
    torch.testing.assert_close(line(x), plane(x.unsqueeze(2)).squeeze(2))


def test_gradient_is_that_of_differences() -> None:
    """In training, gradients agree with finite differences, with a mask as well."""
    module = build(3, ndim=1)
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_padding_teaches_the_norms_nothing() -> None:
    """In training, padding changes neither output nor running statistics."""
    module, other = build(8, ndim=1), build(8, ndim=1)
    x = torch.randn(2, 8, 5, dtype=torch.float64)
    padded = torch.cat([x, torch.full((2, 8, 4), 9.0, dtype=torch.float64)], 2)
    mask = (torch.arange(9) < 5).expand(2, 9)
    torch.testing.assert_close(other(padded, mask)[..., :5], module(x))
    torch.testing.assert_close(other.state_dict(), module.state_dict())


def test_attention_map_is_the_gate_of_the_skip() -> None:
    """With both convolutions at 0 and neutral norms, the output is the SiLU of x times the map."""
    module = ParNetSkipSqueezeExcite(8).eval()
    nn.init.zeros_(module.wide.weight)
    nn.init.zeros_(module.narrow.weight)
    x = torch.randn(2, 8, 4, 3)
    gated = x * module.attention_map(x).channel[..., None, None]
    expected = torch.nn.functional.silu(gated)
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-4)  # eps of the norm


@pytest.mark.parametrize(("ndim", "taps"), [(1, 3), (2, 9)])
def test_its_parameters_are_those_of_the_header(ndim: int, taps: int) -> None:
    """(k + 2) C^2 + 6 C: two convolutions, one layer, three norms."""
    module = ParNetSkipSqueezeExcite(16, ndim=ndim)
    assert sum(p.numel() for p in module.parameters()) == (taps + 2) * 16**2 + 6 * 16

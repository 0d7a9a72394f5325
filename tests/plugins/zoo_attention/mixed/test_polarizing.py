"""The gates of polarized self-attention against the paper's equations, in the paper's order."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.mixed.polarizing import ChannelGate, SpatialGate


def softmax(values: list[float]) -> list[float]:
    """Return exponentials that sum to 1."""
    powers = [math.exp(v) for v in values]
    return [p / sum(powers) for p in powers]


def channel_by_the_paper(x: torch.Tensor, gate: ChannelGate) -> torch.Tensor:
    """Values times the softmax of queries over positions, expanded, squashed."""
    flat = x.flatten(2)
    out = []
    for n in range(len(x)):
        query = torch.einsum("oc,cp->op", gate.query.weight, flat[n])[0].tolist()
        value = torch.einsum("ic,cp->ip", gate.value.weight, flat[n])
        summary = sum(v * w for v, w in zip(value.T, softmax(query), strict=True))
        out.append(1 / (1 + torch.exp(-gate.expand(summary))))
    return torch.stack(out)


def spatial_by_the_paper(x: torch.Tensor, gate: SpatialGate) -> torch.Tensor:
    """The softmax of the pooled query over channels times values, squashed; or the code's."""
    flat = x.flatten(2)
    out = []
    for n in range(len(x)):
        query = torch.einsum("ic,cp->ip", gate.query.weight, flat[n])
        query = [sum(row) / len(row) for row in query.tolist()]
        value = torch.einsum("ic,cp->ip", gate.value.weight, flat[n]).tolist()
        if gate.softmax_of == "query":
            query = softmax(query)
        if gate.softmax_of == "value":
            value = [softmax(row) for row in value]
        score = [
            sum(q * v for q, v in zip(query, at, strict=True)) for at in zip(*value, strict=True)
        ]
        if gate.softmax_of == "product":
            score = softmax(score)
        out.append([1 / (1 + math.exp(-s)) for s in score])
    return torch.tensor(out, dtype=x.dtype).reshape(len(x), 1, *x.shape[2:])


@pytest.mark.parametrize("size", [(3, 2), (5,)])
@pytest.mark.parametrize("expansion", ["linear", "norm", "bottleneck"])
def test_channel_gate_follows_the_formula(expansion: str, size: tuple[int, ...]) -> None:
    """Taking the products in another order gives the paper's numbers."""
    torch.manual_seed(0)
    gate = ChannelGate(6, expansion).double()
    x = torch.randn(2, 6, *size, dtype=torch.float64) * 2
    torch.testing.assert_close(gate(x, None), channel_by_the_paper(x, gate))


@pytest.mark.parametrize("size", [(3, 2), (5,)])
@pytest.mark.parametrize("softmax_of", ["query", "product", "value"])
def test_spatial_gate_follows_the_formula(softmax_of: str, size: tuple[int, ...]) -> None:
    """Taking the products in another order gives the paper's numbers, and the authors' variants."""
    torch.manual_seed(0)
    gate = SpatialGate(6, softmax_of).double()
    x = torch.randn(2, 6, *size, dtype=torch.float64) * 2
    torch.testing.assert_close(gate(x, None).detach(), spatial_by_the_paper(x, gate))


@pytest.mark.parametrize("expansion", ["linear", "norm", "bottleneck"])
@pytest.mark.parametrize("softmax_of", ["query", "product", "value"])
def test_gates_see_real_positions_only(expansion: str, softmax_of: str) -> None:
    """Each variant gives, at real positions, what it gives without the others."""
    torch.manual_seed(0)
    x = torch.randn(2, 8, 6)
    mask = torch.tensor([True, True, False, True, False, False]).expand(2, 6)
    padded = torch.where(mask.unsqueeze(1), x, float("nan"))
    channel, spatial = ChannelGate(8, expansion), SpatialGate(8, softmax_of)
    real = x[..., [0, 1, 3]]
    torch.testing.assert_close(channel(padded, mask), channel(real, None))
    torch.testing.assert_close(spatial(padded, mask)[..., [0, 1, 3]], spatial(real, None))


def test_bottleneck_is_not_too_narrow() -> None:
    """A layer norm over one value would say nothing of it."""
    assert ChannelGate(8, "bottleneck").expand[1].normalized_shape == (4,)
    assert ChannelGate(64, "bottleneck").expand[1].normalized_shape == (8,)

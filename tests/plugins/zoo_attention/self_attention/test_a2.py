"""DoubleAttention against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.self_attention.a2 import DoubleAttention

from zoo import InvalidValue


def liven(module: nn.Module) -> nn.Module:
    """Give every parameter a random value, in float64."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def softmax(values: list[float]) -> list[float]:
    """Return the softmax of numbers."""
    total = sum(map(math.exp, values))
    return [math.exp(value) / total for value in values]


def by_the_paper(x: torch.Tensor, module: DoubleAttention) -> torch.Tensor:
    """Equations 3 to 6 for x (N, C, L), number by number."""
    samples, _, length = x.shape
    y = torch.empty_like(x)
    for n in range(samples):
        a, b, v = (
            [(layer.weight @ x[n, :, i] + layer.bias).detach() for i in range(length)]
            for layer in (module.feature, module.gather, module.distribute)
        )
        gathered = []
        for k in range(len(b[0])):
            weights = softmax([b[i][k].item() for i in range(length)])
            gathered.append(sum(w * at for w, at in zip(weights, a, strict=True)))
        for i in range(length):
            weights = softmax(v[i].tolist())
            z = sum(w * g for w, g in zip(weights, gathered, strict=True))
            y[n, :, i] = x[n, :, i] + module.merge.weight @ z + module.merge.bias
    return y.detach()


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = DoubleAttention(8)
    return module, (8, 3, 2), lambda x: by_the_paper(x.flatten(2), module).reshape(x.shape)


@pytest.mark.parametrize("reduction", [1, 4, 100])
def test_follows_the_formula(reduction: int) -> None:
    """The output is that of the paper's equations."""
    module = liven(DoubleAttention(8, reduction=reduction))
    x = torch.randn(2, 8, 3, 2, dtype=torch.float64)
    expected = by_the_paper(x.flatten(2), module).reshape(x.shape)
    torch.testing.assert_close(module(x).detach(), expected)


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = liven(DoubleAttention(4, ndim=1, reduction=2))
    x = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_no_softmax_is_over_the_batch() -> None:
    """A sample gives what it gives alone, though its neighbour is far larger."""
    module = liven(DoubleAttention(8))
    x = torch.randn(2, 8, 3, 2, dtype=torch.float64)
    x[1] *= 100
    torch.testing.assert_close(module(x)[:1], module(x[:1]))


def test_attention_map_is_what_is_gathered() -> None:
    """The map is the mean of the gathering weights, and sums to 1."""
    module = liven(DoubleAttention(8))
    x = torch.randn(2, 8, 3, 2, dtype=torch.float64)
    scores = torch.einsum("kc,nchw->nkhw", module.gather.weight, x).flatten(2)
    expected = scores.softmax(2).mean(1).reshape(2, 3, 2)
    torch.testing.assert_close(module.attention_map(x).spatial, expected)


def test_refuses_bad_options() -> None:
    """The option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match="DoubleAttention: reduction is 0, but must be a whole"):
        DoubleAttention(16, reduction=0)

"""PositionAttention against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.self_attention.pam import PositionAttention

from zoo import InvalidValue


def liven(module: nn.Module) -> nn.Module:
    """Give every parameter a random value, in float64."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def by_the_paper(a: torch.Tensor, module: PositionAttention) -> torch.Tensor:
    """Equations 1 and 2 for a map (N, C, L), number by number."""
    samples, _, length = a.shape
    e = torch.empty_like(a)
    for n in range(samples):
        b, c, d = ([], [], [])
        for rows, layer in ((b, module.key), (c, module.query), (d, module.value)):
            for i in range(length):
                bias = 0 if layer.bias is None else layer.bias.detach()
                rows.append(layer.weight.detach() @ a[n, :, i] + bias)
        for j in range(length):
            s = [math.exp(sum(b[i] * c[j]).item()) for i in range(length)]
            read = sum(s[i] / sum(s) * d[i] for i in range(length))
            e[n, :, j] = module.alpha.item() * read + a[n, :, j]
    return e


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = PositionAttention(4, reduction=2)
    return module, (4, 3, 2), lambda x: by_the_paper(x.flatten(2), module).reshape(x.shape)


@pytest.mark.parametrize(
    "options", [{}, {"reduction": 1}, {"reduction": 2, "use_bias": False}, {"reduction": 100}]
)
def test_follows_the_formula(options: dict[str, int]) -> None:
    """The output is that of the paper's equations."""
    module = liven(PositionAttention(8, **options))
    x = torch.randn(2, 8, 3, 2, dtype=torch.float64)
    expected = by_the_paper(x.flatten(2), module).reshape(x.shape)
    torch.testing.assert_close(module(x).detach(), expected)


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = liven(PositionAttention(4, ndim=1, reduction=2))
    x = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_starts_as_identity() -> None:
    """Alpha is 0 at the start."""
    x = torch.randn(2, 8, 3, 4)
    assert torch.equal(PositionAttention(8)(x), x)


def test_attention_map_is_what_positions_receive() -> None:
    """The map is the mean over readers of the paper's weights."""
    module = liven(PositionAttention(8, use_bias=False))
    x = torch.randn(2, 8, 2, 3, dtype=torch.float64)
    b, c = (torch.einsum("dc,ncl->ndl", w.weight, x.flatten(2)) for w in (module.key, module.query))
    expected = torch.einsum("ndi,ndj->nij", b, c).softmax(1).mean(2)
    torch.testing.assert_close(module.attention_map(x).spatial.flatten(1), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction is 0, but must be a whole number of at least 1"),
        ({"use_bias": 1}, "use_bias is 1, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"PositionAttention: {message}"):
        PositionAttention(16, **options)  # type: ignore[arg-type]  # what is tested

"""CrissCrossAttention against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.self_attention.criss_cross import CrissCrossAttention

from zoo import InvalidValue


def liven(module: nn.Module) -> nn.Module:
    """Give every parameter a random value, in float64."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    return module.double()


def by_the_paper(x: torch.Tensor, module: CrissCrossAttention) -> tuple[torch.Tensor, torch.Tensor]:
    """Equations 1 and 2, repeated, for x (N, C, H, W): the output, and how much each is read."""
    samples, _, height, width = x.shape
    gamma = 1.0 if module.gamma is None else module.gamma.item()
    received = torch.zeros(samples, height, width, dtype=x.dtype)
    for _ in range(module.recurrence):
        after = x.clone()
        q, k, v = (
            torch.einsum("dc,nchw->nhwd", layer.weight, x) + layer.bias
            for layer in (module.query, module.key, module.value)
        )
        for n in range(samples):
            for r in range(height):
                for c in range(width):
                    cross = [(r, i) for i in range(width)]
                    cross += [(i, c) for i in range(height) if i != r]
                    weights = [math.exp(sum(q[n, r, c] * k[(n, *at)]).item()) for at in cross]
                    for weight, at in zip(weights, cross, strict=True):
                        share = weight / sum(weights)
                        after[n, :, r, c] += gamma * share * v[(n, *at)]
                        received[(n, *at)] += share / (height * width * module.recurrence)
        x = after
    return x.detach(), received


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = CrissCrossAttention(4, reduction=2)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)[0]


@pytest.mark.parametrize(
    "options", [{}, {"recurrence": 1, "reduction": 2}, {"recurrence": 3, "use_gamma": True}]
)
def test_follows_the_formula(options: dict[str, int]) -> None:
    """The output and the map are those of the paper's equations."""
    module = liven(CrissCrossAttention(4, **options))
    x = torch.randn(1, 4, 3, 2, dtype=torch.float64)
    expected, received = by_the_paper(x, module)
    torch.testing.assert_close(module(x).detach(), expected)
    torch.testing.assert_close(module.attention_map(x).spatial.detach(), received)


@pytest.mark.parametrize(("recurrence", "reaches"), [(1, False), (2, True)])
def test_all_reach_all_the_second_time(recurrence: int, reaches: bool) -> None:
    """A corner depends on the opposite one from the second time on."""
    module = liven(CrissCrossAttention(4, recurrence=recurrence))
    x = torch.randn(1, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(module(x)[..., 0, 0].sum(), x)
    assert bool(gradient[..., 2, 2].any()) is reaches


def test_one_dimension_is_a_map_of_one_row() -> None:
    """On (N, C, L) it does what it does on (N, C, 1, L)."""
    line, plane = CrissCrossAttention(8, ndim=1), CrissCrossAttention(8)
    plane.load_state_dict(line.state_dict())
    x = torch.randn(2, 8, 5)
    torch.testing.assert_close(line(x), plane(x.unsqueeze(2)).squeeze(2))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = liven(CrissCrossAttention(3, reduction=2, recurrence=1))
    x = torch.randn(1, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[[True, True], [True, False]]])
    real = mask.unsqueeze(1).expand_as(x)
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask)[real], (x,))


def test_a_row_without_real_positions_stays_finite() -> None:
    """Padding rows and columns give numbers, and no gradient that is none."""
    module = liven(CrissCrossAttention(8))
    x = torch.randn(2, 8, 4, 5, dtype=torch.float64, requires_grad=True)
    mask = torch.zeros(2, 4, 5, dtype=torch.bool)
    mask[:, :2, :3] = True
    y = module(x, mask)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


def test_gamma_starts_as_identity() -> None:
    """The authors' weight is 0 at the start."""
    x = torch.randn(2, 8, 3, 4)
    assert torch.equal(CrissCrossAttention(8, use_gamma=True)(x), x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction is 0, but must be a whole number of at least 1"),
        ({"recurrence": 0}, "recurrence is 0, but must be a whole number of at least 1"),
        ({"use_gamma": 1}, "use_gamma is 1, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"CrissCrossAttention: {message}"):
        CrissCrossAttention(16, **options)  # type: ignore[arg-type]  # what is tested

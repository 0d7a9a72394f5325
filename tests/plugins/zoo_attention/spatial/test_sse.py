"""SpatialSqueezeExcite against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.spatial.sse import SpatialSqueezeExcite

from zoo import InvalidValue

MASK = torch.tensor([[True, True, True, False], [True, True, False, False]])


def by_the_paper(x: torch.Tensor, module: SpatialSqueezeExcite) -> torch.Tensor:
    """Squeeze the channels of each position, and weigh it, number by number."""
    weight = module.conv.weight.flatten().tolist()
    bias = 0.0 if module.conv.bias is None else module.conv.bias.item()
    y = torch.empty_like(x)
    for n in range(x.shape[0]):
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                at = x[n, :, i, j]
                logit = sum(w * v for w, v in zip(weight, at.tolist(), strict=True)) + bias
                y[n, :, i, j] = at / (1 + math.exp(-logit))
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = SpatialSqueezeExcite(4)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize("use_bias", [False, True])
def test_follows_the_formula(use_bias: bool) -> None:
    """The output is that of the equation."""
    torch.manual_seed(0)
    module = SpatialSqueezeExcite(5, use_bias=use_bias).double()
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    module = SpatialSqueezeExcite(3, ndim=1, use_bias=True).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, MASK), (x,))


def test_padding_reaches_no_gradient() -> None:
    """NaN in masked positions does not reach the gradient of the weights."""
    module = SpatialSqueezeExcite(3, ndim=1)
    x = torch.where(MASK.unsqueeze(1), torch.randn(2, 3, 4), float("nan"))
    module(x, MASK).transpose(0, 1)[:, MASK].sum().backward()
    assert module.conv.weight.grad.isfinite().all()


def test_attention_map_is_the_gate() -> None:
    """The output is the input times the map."""
    module = SpatialSqueezeExcite(8)
    x = torch.randn(2, 8, 4, 3)
    torch.testing.assert_close(module(x), x * module.attention_map(x).spatial.unsqueeze(1))


def test_refuses_a_bad_flag() -> None:
    """A flag is True or False."""
    with pytest.raises(InvalidValue, match="use_bias is 1, but must be True or False"):
        SpatialSqueezeExcite(8, use_bias=1)  # type: ignore[arg-type]  # what is tested

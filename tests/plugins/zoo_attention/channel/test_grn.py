"""GlobalResponseNorm against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.channel.grn import GlobalResponseNorm

from zoo import InvalidValue

MASK = torch.tensor([[True, True, True, False], [True, True, False, False]])


def randomize(module: GlobalResponseNorm) -> GlobalResponseNorm:
    """Return the module in float64 with random parameters, so that it is no identity."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    return module.double()


def by_the_paper(x: torch.Tensor, module: GlobalResponseNorm) -> torch.Tensor:
    """Aggregate, normalise and calibrate, number by number."""
    gamma, beta = module.gamma.tolist(), module.beta.tolist()
    y = torch.empty_like(x)
    for n in range(x.shape[0]):
        g = [math.sqrt(sum(v * v for v in at.flatten().tolist())) for at in x[n]]
        mean = sum(g) / len(g)
        for c in range(module.channels):
            y[n, c] = gamma[c] * (x[n, c] * g[c] / (mean + module.eps)) + beta[c] + x[n, c]
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = GlobalResponseNorm(4)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


def test_follows_the_formula() -> None:
    """The output is that of the equations."""
    module = randomize(GlobalResponseNorm(5, eps=0.1))
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = randomize(GlobalResponseNorm(3, ndim=1))
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, MASK), (x,))


def test_is_the_identity_at_the_start() -> None:
    """A new module changes no bit."""
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(GlobalResponseNorm(8)(x), x)


def test_equals_timm() -> None:
    """With the same parameters it gives the numbers of timm's."""
    grn = pytest.importorskip("timm.layers.grn")
    theirs = grn.GlobalResponseNorm(16, channels_last=False).double()
    ours = randomize(GlobalResponseNorm(16))
    theirs.load_state_dict({"weight": ours.gamma, "bias": ours.beta})
    x = torch.randn(2, 16, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x))


def test_attention_map_is_what_channels_are_multiplied_by() -> None:
    """The output is the input times the map, and the offset."""
    module = randomize(GlobalResponseNorm(8))
    x = torch.randn(2, 8, 4, 3, dtype=torch.float64)
    gate = module.attention_map(x).channel[..., None, None]
    torch.testing.assert_close(module(x), x * gate + module.beta[:, None, None])


def test_refuses_a_bad_eps() -> None:
    """The mean norm must not be divided by 0."""
    with pytest.raises(InvalidValue, match="GlobalResponseNorm: eps is -1, but must be a finite"):
        GlobalResponseNorm(8, eps=-1)

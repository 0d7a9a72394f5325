"""GatedChannelTransform against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.channel.gct import GatedChannelTransform

from zoo import InvalidValue

MASK = torch.tensor([[True, True, True, False], [True, True, False, False]])


def randomize(module: GatedChannelTransform) -> GatedChannelTransform:
    """Return the module in float64 with random parameters, so that it is no identity."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    return module.double()


def by_the_paper(x: torch.Tensor, module: GatedChannelTransform) -> torch.Tensor:
    """Embed (equation 1), normalise (2) and gate (3), number by number."""
    alpha, gamma, beta = (p.tolist() for p in (module.alpha, module.gamma, module.beta))
    channels, eps = module.channels, module.eps
    y = torch.empty_like(x)
    for n in range(x.shape[0]):
        values = [x[n, c].flatten().tolist() for c in range(channels)]
        if module.norm == "l2":
            s = [
                a * math.sqrt(sum(v * v for v in at) + eps)
                for a, at in zip(alpha, values, strict=True)
            ]
            total = math.sqrt(sum(v * v for v in s) + eps)
            t = [math.sqrt(channels) * v / total for v in s]
        else:
            s = [a * sum(abs(v) for v in at) for a, at in zip(alpha, values, strict=True)]
            t = [v / (sum(abs(v) for v in s) / channels + eps) for v in s]
        for c in range(channels):
            y[n, c] = x[n, c] * (1 + math.tanh(gamma[c] * t[c] + beta[c]))
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = GatedChannelTransform(4)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_follows_the_formula(norm: str) -> None:
    """The output is that of the equations."""
    module = randomize(GatedChannelTransform(5, norm=norm, eps=0.1))  # type: ignore[arg-type]  # one of both
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_gradient_is_that_of_differences(norm: str) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = randomize(GatedChannelTransform(3, ndim=1, norm=norm))  # type: ignore[arg-type]  # one of both
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, MASK), (x,))


def test_is_the_identity_at_the_start() -> None:
    """A new module changes no bit."""
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(GatedChannelTransform(8)(x), x)


def test_only_the_offset_must_not_decay() -> None:
    """The name that is exempt from weight decay is that of a parameter."""
    module = GatedChannelTransform(8)
    assert module.no_weight_decay() == {"beta"}
    assert module.no_weight_decay() < dict(module.named_parameters()).keys()


def test_attention_map_is_the_gate() -> None:
    """The output is the input times the map."""
    module = randomize(GatedChannelTransform(8))
    x = torch.randn(2, 8, 4, 3, dtype=torch.float64)
    torch.testing.assert_close(module(x), x * module.attention_map(x).channel[..., None, None])


def test_refuses_bad_options() -> None:
    """An unknown norm and an eps that is not positive are refused by name."""
    with pytest.raises(InvalidValue, match="norm is 'l3', but must be one of 'l2', 'l1'"):
        GatedChannelTransform(8, norm="l3")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(InvalidValue, match="eps is 0, but must be a finite number above 0"):
        GatedChannelTransform(8, eps=0)

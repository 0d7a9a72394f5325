"""EffectiveSqueezeExcite against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.channel.ese import EffectiveSqueezeExcite

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, module: EffectiveSqueezeExcite) -> torch.Tensor:
    """Pool, mix and weigh, number by number."""
    samples, channels, height, width = x.shape
    weight = module.mix.weight.tolist()
    bias = [0.0] * channels if module.mix.bias is None else module.mix.bias.tolist()
    y = torch.empty_like(x)
    for n in range(samples):
        z = [sum(x[n, c].flatten().tolist()) / (height * width) for c in range(channels)]
        for c in range(channels):
            logit = sum(w * v for w, v in zip(weight[c], z, strict=True)) + bias[c]
            hard = min(max(logit + 3, 0), 6) / 6
            y[n, c] = x[n, c] * (
                hard if module.gate == "hard_sigmoid" else 1 / (1 + math.exp(-logit))
            )
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = EffectiveSqueezeExcite(5)
    return module, (5, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize("gate", ["hard_sigmoid", "sigmoid"])
@pytest.mark.parametrize("use_bias", [False, True])
def test_follows_the_formula(gate: str, use_bias: bool) -> None:
    """The output is that of the equation, also where the hard sigmoid is flat."""
    torch.manual_seed(0)
    module = EffectiveSqueezeExcite(5, gate=gate, use_bias=use_bias).double()  # type: ignore[arg-type]  # one of both
    with torch.no_grad():
        module.mix.weight.mul_(8)
    x = torch.randn(2, 5, 3, 2, dtype=torch.float64) + 1
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    module = EffectiveSqueezeExcite(3, ndim=1, use_bias=True).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_differentiates_twice() -> None:
    """Second derivatives, too, agree with finite differences: torch's own hard sigmoid has none."""
    module = EffectiveSqueezeExcite(3, ndim=1).double()
    x = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(module, x)


def test_equals_timm() -> None:
    """With the same weights it gives the numbers of timm's EffectiveSEModule, which has a bias."""
    layers = pytest.importorskip("timm.layers")
    theirs = layers.EffectiveSEModule(16)
    ours = EffectiveSqueezeExcite(16, use_bias=True)
    state = {"mix.weight": theirs.fc.weight[..., 0, 0], "mix.bias": theirs.fc.bias}
    ours.load_state_dict(state)
    x = torch.randn(2, 16, 5, 7)
    torch.testing.assert_close(ours(x), theirs(x))


def test_attention_map_is_the_gate() -> None:
    """The output is the input times the map."""
    module = EffectiveSqueezeExcite(8)
    x = torch.randn(2, 8, 4, 3)
    torch.testing.assert_close(module(x), x * module.attention_map(x).channel[..., None, None])


def test_refuses_bad_options() -> None:
    """An unknown gate and a flag that is none are refused by name."""
    with pytest.raises(
        InvalidValue, match="gate is 'relu', but must be one of 'hard_sigmoid', 'sig"
    ):
        EffectiveSqueezeExcite(8, gate="relu")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(InvalidValue, match="use_bias is 1, but must be True or False"):
        EffectiveSqueezeExcite(8, use_bias=1)  # type: ignore[arg-type]  # what is tested

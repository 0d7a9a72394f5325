"""NormalizationAttention against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.channel.nam import NormalizationAttention

from zoo import InvalidValue

MASK = torch.tensor([[True, True, True, False], [True, True, False, False]])


def randomize(module: NormalizationAttention) -> NormalizationAttention:
    """Return the module in float64 and eval mode with random weights and statistics."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
        for buffer in module.buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.2, 1.0)
    return module.double().eval()


def by_the_paper(x: torch.Tensor, module: NormalizationAttention) -> torch.Tensor:
    """Normalise, weigh by the share of the scale, and gate, number by number."""
    norm, y = module.norm, torch.empty_like(x)
    total = sum(abs(v) for v in norm.weight.tolist())
    for c in range(x.shape[1]):
        scale, offset = norm.weight[c].item(), norm.bias[c].item()
        deviation = math.sqrt(norm.running_var[c].item() + norm.eps)
        for n in range(x.shape[0]):
            for i, value in enumerate(x[n, c].flatten().tolist()):
                normal = (value - norm.running_mean[c].item()) / deviation * scale + offset
                gate = 1 / (1 + math.exp(-abs(scale) / total * normal))
                y[n, c].view(-1)[i] = value * gate
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = NormalizationAttention(4)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


def test_follows_the_formula() -> None:
    """The output is that of the equations."""
    module = randomize(NormalizationAttention(4))
    x = torch.randn(2, 4, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


@pytest.mark.parametrize("is_training", [False, True])
def test_gradient_is_that_of_differences(is_training: bool) -> None:
    """Gradients of input and scales agree with finite differences, with a mask as well."""
    module = randomize(NormalizationAttention(3, ndim=1)).train(is_training)
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, MASK), (x,))

    def of_scales(weight: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(module, {"norm.weight": weight}, (x.detach(),))

    assert torch.autograd.gradcheck(of_scales, (module.norm.weight.detach().requires_grad_(),))


def test_weights_may_be_taken_as_constant() -> None:
    """The numbers stay the same, the gradient of the scales does not."""
    x = torch.randn(2, 4, 3, 4, dtype=torch.float64)
    modules = [randomize(NormalizationAttention(4, use_constant_weights=c)) for c in (False, True)]
    torch.testing.assert_close(modules[0](x), modules[1](x))
    slopes = [torch.autograd.grad(m(x).sum(), m.norm.weight)[0] for m in modules]
    assert not torch.allclose(*slopes)


def test_scales_of_0_are_no_division_by_zero() -> None:
    """Where every scale is 0 all values weigh a half."""
    module = NormalizationAttention(4).eval()
    torch.nn.init.zeros_(module.norm.weight)
    x = torch.randn(2, 4, 3, 3)
    torch.testing.assert_close(module(x), x * 0.5)


def test_attention_map_is_the_mean_gate() -> None:
    """Channels and positions get the means of what the input is multiplied by."""
    module = randomize(NormalizationAttention(8))
    x = torch.rand(2, 8, 4, 3, dtype=torch.float64) + 0.5
    gate, found = module(x) / x, module.attention_map(x)
    torch.testing.assert_close(found.channel, gate.mean((2, 3)))
    torch.testing.assert_close(found.spatial, gate.mean(1))


def test_refuses_a_bad_flag() -> None:
    """A flag is True or False."""
    with pytest.raises(InvalidValue, match="use_constant_weights is 0, but must be True or False"):
        NormalizationAttention(8, use_constant_weights=0)  # type: ignore[arg-type]  # what is tested

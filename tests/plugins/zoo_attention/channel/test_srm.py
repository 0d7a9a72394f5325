"""StyleRecalibration against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.channel.srm import StyleRecalibration

from zoo import InvalidValue

MASK = torch.tensor([[True, True, True, False], [True, True, False, False]])


def randomize(module: StyleRecalibration) -> StyleRecalibration:
    """Return the module in float64 and eval mode with random weights and statistics."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
        for buffer in module.buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.2, 1.0)
    return module.double().eval()


def by_the_paper(x: torch.Tensor, module: StyleRecalibration, *, less: int) -> torch.Tensor:
    """Style pooling and style integration, number by number."""
    norm, y = module.norm, torch.empty_like(x)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            values = x[n, c].flatten().tolist()
            mean = sum(values) / len(values)
            variance = sum((v - mean) ** 2 for v in values) / (len(values) - less)
            first, second = module.weight[c].tolist()
            z = first * mean + second * math.sqrt(variance + 1e-5)
            z = (z - norm.running_mean[c].item()) / math.sqrt(norm.running_var[c].item() + norm.eps)
            z = z * norm.weight[c].item() + norm.bias[c].item()
            y[n, c] = x[n, c] / (1 + math.exp(-z))
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = StyleRecalibration(4)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module, less=0)


@pytest.mark.parametrize("use_sample_variance", [False, True])
def test_follows_the_formula(use_sample_variance: bool) -> None:
    """The output is that of the equations, or with P - 1 that of the authors' code."""
    module = randomize(StyleRecalibration(4, use_sample_variance=use_sample_variance))
    x = torch.randn(2, 4, 3, 4, dtype=torch.float64)
    expected = by_the_paper(x, module, less=int(use_sample_variance))
    torch.testing.assert_close(module(x).detach(), expected)


@pytest.mark.parametrize("use_sample_variance", [False, True])
@pytest.mark.parametrize("is_training", [False, True])
def test_gradient_is_that_of_differences(use_sample_variance: bool, is_training: bool) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = StyleRecalibration(3, ndim=1, use_sample_variance=use_sample_variance)
    randomize(module).train(is_training)
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, MASK), (x,))


def test_all_channels_weigh_a_half_at_the_start() -> None:
    """The weights are 0 at first, so that the gate is that of the norm's offset."""
    x = torch.randn(3, 8, 4, 4)
    assert torch.equal(StyleRecalibration(8)(x), x * 0.5)


def test_flat_maps_have_a_gradient() -> None:
    """The root of a variance of 0 has a finite slope."""
    module = randomize(StyleRecalibration(4))
    x = torch.ones(1, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    module(x).sum().backward()
    assert x.grad.isfinite().all()


def test_one_sample_may_be_trained_on() -> None:
    """One sample gives the norm one value a channel: it uses what it has learnt, and learns nothing."""
    module = randomize(StyleRecalibration(4))
    x = torch.randn(1, 4, 3, 3, dtype=torch.float64)
    expected, before = module(x), module.norm.running_mean.clone()
    torch.testing.assert_close(module.train()(x), expected)
    assert torch.equal(module.norm.running_mean, before)


def test_an_empty_sample_teaches_nothing() -> None:
    """A sample without real positions has no part in the norm's statistics."""
    x = torch.randn(3, 4, 5, dtype=torch.float64)
    mask = torch.ones(3, 5, dtype=torch.bool)
    mask[2] = False
    module, other = (randomize(StyleRecalibration(4, ndim=1)).train() for _ in range(2))
    torch.testing.assert_close(module(x, mask)[:2], other(x[:2]))
    torch.testing.assert_close(module.state_dict(), other.state_dict())


def test_attention_map_is_the_gate() -> None:
    """The output is the input times the map."""
    module = randomize(StyleRecalibration(8))
    x = torch.randn(2, 8, 4, 3, dtype=torch.float64)
    torch.testing.assert_close(module(x), x * module.attention_map(x).channel[..., None, None])


def test_nothing_is_rounded_before_the_norm() -> None:
    """A map in bfloat16, as autocast hands on, is weighed as one in float32: the norm would widen a rounding."""
    torch.manual_seed(0)
    x = (1 + 0.3 * torch.randn(8, 32, 8, 8)).bfloat16()
    module = StyleRecalibration(32)
    torch.nn.init.normal_(module.weight)
    exact = module.attention_map(x.float()).channel
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(module.attention_map(x).channel, exact, rtol=0, atol=2e-3)


def test_refuses_a_bad_flag() -> None:
    """A flag is True or False."""
    with pytest.raises(InvalidValue, match="use_sample_variance is 0, but must be True or False"):
        StyleRecalibration(8, use_sample_variance=0)  # type: ignore[arg-type]  # what is tested

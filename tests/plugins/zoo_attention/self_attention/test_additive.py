"""EfficientAdditiveAttention against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.self_attention.additive import EfficientAdditiveAttention

from zoo import InvalidValue


def liven(module: nn.Module) -> nn.Module:
    """Give every parameter a random value, in float64."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def unit(vector: torch.Tensor) -> torch.Tensor:
    """Return a vector scaled to length 1."""
    return vector / sum(vector**2).sqrt()


def by_the_paper(
    x: torch.Tensor, module: EfficientAdditiveAttention
) -> tuple[torch.Tensor, torch.Tensor]:
    """Section 3.1 for x (N, C, L): the output, and the weights of positions."""
    samples, channels, length = x.shape
    y = torch.empty_like(x)
    a = torch.empty(samples, length, dtype=x.dtype)
    for n in range(samples):
        q, k = (
            [unit(layer.weight @ x[n, :, i] + layer.bias) for i in range(length)]
            for layer in (module.query, module.key)
        )
        a[n] = torch.stack([sum(at * module.weigh) / math.sqrt(channels) for at in q])
        if module.normalization == "length":
            a[n] = unit(a[n])
        elif module.normalization == "softmax":
            a[n] = a[n].exp() / sum(a[n].exp())
        g = sum(weight * at for weight, at in zip(a[n], q, strict=True))
        for i in range(length):
            inner = module.transform.weight @ (k[i] * g) + module.transform.bias + q[i]
            y[n, :, i] = module.merge.weight @ inner + module.merge.bias
    return (x + y if module.use_residual else y).detach(), a.detach()


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = EfficientAdditiveAttention(4)
    return module, (4, 3, 2), lambda x: by_the_paper(x.flatten(2), module)[0].reshape(x.shape)


@pytest.mark.parametrize("normalization", ["length", "softmax", "none"])
@pytest.mark.parametrize("use_residual", [False, True])
def test_follows_the_formula(normalization: str, use_residual: bool) -> None:
    """The output and the map are those of the paper's equations, or of the authors' code."""
    module = liven(
        EfficientAdditiveAttention(6, normalization=normalization, use_residual=use_residual)
    )
    x = torch.randn(2, 6, 3, 2, dtype=torch.float64)
    expected, weights = by_the_paper(x.flatten(2), module)
    torch.testing.assert_close(module(x).detach(), expected.reshape(x.shape))
    shares = weights.abs() / weights.abs().sum(1, keepdim=True)
    found = module.attention_map(x).spatial.detach()
    torch.testing.assert_close(found, shares.reshape(2, 3, 2))


@pytest.mark.parametrize("normalization", ["length", "softmax"])
def test_gradient_is_that_of_differences(normalization: str) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = liven(EfficientAdditiveAttention(3, ndim=1, normalization=normalization))
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_equals_timm() -> None:
    """With the same weights it gives the numbers of timm's."""
    timm = pytest.importorskip("timm.models.swiftformer")
    theirs = timm.EfficientAdditiveAttention(in_dims=16, token_dim=16)
    ours = EfficientAdditiveAttention(16, use_residual=False)
    state = {"weigh": theirs.w_g[:, 0]}
    for name, layer in (
        ("query", theirs.to_query),
        ("key", theirs.to_key),
        ("transform", theirs.proj),
        ("merge", theirs.final),
    ):
        state |= {f"{name}.{key}": value for key, value in layer.state_dict().items()}
    ours.load_state_dict(state)
    x = torch.randn(2, 16, 3, 5)
    torch.testing.assert_close(ours(x), theirs(x))


def test_weights_differ_over_positions() -> None:
    """No softmax over an axis of size 1: the weights are not all the same."""
    module = liven(EfficientAdditiveAttention(8, ndim=1))
    found = module.attention_map(torch.randn(1, 8, 5, dtype=torch.float64)).spatial
    assert found.std() > 0.01


@pytest.mark.parametrize("name", ["normalization", "use_residual"])
def test_refuses_bad_options(name: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"EfficientAdditiveAttention: {name} is 1, but must be"):
        EfficientAdditiveAttention(16, **{name: 1})


def test_a_softmax_is_over_real_positions() -> None:
    """Padding changes nothing, and a sample without real positions stays finite."""
    module = liven(EfficientAdditiveAttention(4, ndim=1, normalization="softmax"))
    x = torch.randn(1, 4, 5, dtype=torch.float64)
    mask = torch.arange(8).unsqueeze(0) < 5
    wider = torch.cat([x, torch.full((1, 4, 3), 9.0, dtype=torch.float64)], 2)
    torch.testing.assert_close(module(wider, mask)[..., :5], module(x))
    assert module(x, torch.zeros(1, 5, dtype=torch.bool)).isfinite().all()


def test_float16_is_no_nan() -> None:
    """Neither a map of zeros nor a sample without real positions is divided by a 0."""
    module = EfficientAdditiveAttention(8).half()
    mask = torch.tensor([[True] * 6, [False] * 6])
    for start, real in ((torch.zeros(2, 8, 2, 3), None), (torch.randn(2, 8, 2, 3), mask)):
        x = start.half().requires_grad_()
        y = module(x, None if real is None else real.reshape(2, 2, 3))
        y.sum().backward()
        assert y.isfinite().all()
        for value in (x, *module.parameters()):
            assert value.grad.isfinite().all()

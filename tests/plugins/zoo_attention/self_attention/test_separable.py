"""SeparableSelfAttention against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.self_attention.separable import SeparableSelfAttention

from zoo import InvalidValue


def liven(module: nn.Module) -> nn.Module:
    """Give every parameter a random value, in float64."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def by_the_paper(x: torch.Tensor, module: SeparableSelfAttention) -> torch.Tensor:
    """Section 3.2 for x (N, C, L), position by position."""
    samples, _, length = x.shape
    y = torch.empty_like(x)
    for n in range(samples):
        scores = [math.exp((module.score.weight[0] @ x[n, :, i]).item()) for i in range(length)]
        context = sum(
            score / sum(scores) * (module.key.weight @ x[n, :, i] + module.key.bias)
            for i, score in enumerate(scores)
        )
        for i in range(length):
            value = module.value.weight @ x[n, :, i] + module.value.bias
            value = torch.where(value > 0, value, 0)
            y[n, :, i] = module.merge.weight @ (value * context) + module.merge.bias
    return (x + y if module.use_residual else y).detach()


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = SeparableSelfAttention(4)
    return module, (4, 3, 2), lambda x: by_the_paper(x.flatten(2), module).reshape(x.shape)


@pytest.mark.parametrize("use_residual", [False, True])
def test_follows_the_formula(use_residual: bool) -> None:
    """The output is that of the paper's equations, the ReLU on the values included."""
    module = liven(SeparableSelfAttention(6, use_residual=use_residual))
    x = torch.randn(2, 6, 3, 2, dtype=torch.float64)
    expected = by_the_paper(x.flatten(2), module).reshape(x.shape)
    torch.testing.assert_close(module(x).detach(), expected)


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = liven(SeparableSelfAttention(3, ndim=1))
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_equals_timm() -> None:
    """With the same weights it gives the numbers of timm's LinearSelfAttention on one patch."""
    timm = pytest.importorskip("timm.models.mobilevit")
    theirs = timm.LinearSelfAttention(16)
    ours = SeparableSelfAttention(16, use_residual=False)
    weight, bias = theirs.qkv_proj.weight[..., 0, 0], theirs.qkv_proj.bias
    state = {"score.weight": weight[:1]}  # its bias is lost in the softmax
    for name, rows in (("key", slice(1, 17)), ("value", slice(17, 33))):
        state |= {f"{name}.weight": weight[rows], f"{name}.bias": bias[rows]}
    state["merge.weight"] = theirs.out_proj.weight[..., 0, 0]
    state["merge.bias"] = theirs.out_proj.bias
    ours.load_state_dict(state)
    x = torch.randn(2, 16, 3, 5)
    expected = theirs(x.flatten(2).unsqueeze(2)).reshape(x.shape)
    torch.testing.assert_close(ours(x), expected)


def test_attention_map_is_the_softmax_over_positions() -> None:
    """Weights sum to 1 and follow the scores."""
    module = liven(SeparableSelfAttention(8))
    x = torch.randn(2, 8, 2, 3, dtype=torch.float64)
    scores = torch.einsum("c,nchw->nhw", module.score.weight[0], x).flatten(1)
    expected = scores.softmax(1).reshape(2, 2, 3)
    torch.testing.assert_close(module.attention_map(x).spatial, expected)


def test_refuses_bad_options() -> None:
    """The option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match="SeparableSelfAttention: use_residual is 1, but must"):
        SeparableSelfAttention(16, use_residual=1)  # type: ignore[arg-type]  # what is tested

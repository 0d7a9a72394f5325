"""ContextualTransformer against its formula in loops."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from zoo_attention.branch.cot import ContextualTransformer

from zoo import InvalidValue


def normal(values: torch.Tensor, norm: torch.nn.Module) -> torch.Tensor:
    """A batch norm in eval mode, of (C, ...)."""
    axes = (..., *[None] * (values.ndim - 1))
    out = (values - norm.running_mean[axes]) / (norm.running_var[axes] + norm.eps).sqrt()
    return out * norm.weight[axes] + norm.bias[axes]


def by_the_paper(x: torch.Tensor, module: ContextualTransformer) -> torch.Tensor:
    """Equations 3 and 4 of the paper with the authors' norms and fusion, for (N, C, L)."""
    samples, channels, length = x.shape
    side, heads, choice = module.kernel_size, module.heads, module.choice
    half, narrow = side // 2, channels // 4  # of the convolution's groups
    y = torch.zeros_like(x)
    for n in range(samples):
        static = torch.zeros(channels, length, dtype=x.dtype)
        for c, place, i in product(range(channels), range(length), range(-half, half + 1)):
            if 0 <= place + i < length:
                first = c // narrow * narrow
                read = x[n, first : first + narrow, place + i]
                static[c, place] += module.key.weight[c, :, i + half] @ read
        static = normal(static, module.key_norm).clamp(min=0)
        both = torch.cat([x[n], static])
        hidden = torch.einsum("oi,il->ol", module.reduce.weight[..., 0], both)
        hidden = normal(hidden, module.reduce_norm).clamp(min=0)
        weights = torch.einsum("oi,il->ol", module.expand.weight[..., 0], hidden)
        weights = (weights + module.expand.bias[:, None]).reshape(heads, side, length)
        norm = module.expand_norm
        for head in range(heads):
            mean = weights[head].sum() / (side * length)
            spread = (weights[head] - mean).square().sum() / (side * length)
            weights[head] = (weights[head] - mean) / (spread + norm.eps).sqrt()
        weights = weights.flatten(0, 1) * norm.weight[:, None] + norm.bias[:, None]
        weights = weights.reshape(heads, side, length)
        value = torch.einsum("oi,il->ol", module.value.weight[..., 0], x[n])
        value = normal(value, module.value_norm)
        read = torch.zeros_like(value)
        for c, place, i in product(range(channels), range(length), range(side)):
            if 0 <= place + i - half < length:
                read[c, place] += weights[c % heads, i, place] * value[c, place + i - half]
        dynamic = normal(read, module.norm)
        dynamic = dynamic / (1 + (-dynamic).exp())
        z = (dynamic + static).sum(1) / length
        z = choice.reduce.weight[..., 0] @ z + choice.reduce.bias
        z = normal(z, choice.norm).clamp(min=0)
        scores = choice.expand.weight[..., 0] @ z + choice.expand.bias
        for c in range(channels):
            share = 1 / (1 + math.exp(scores[channels + c] - scores[c]))
            y[n, c] = share * dynamic[c] + (1 - share) * static[c]
    return y


def randomised(module: ContextualTransformer) -> ContextualTransformer:
    """Return the module in float64 and eval mode, with random norms."""
    torch.manual_seed(0)
    for each in module.modules():
        if isinstance(each, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d | torch.nn.GroupNorm):
            torch.nn.init.normal_(each.weight)
            torch.nn.init.normal_(each.bias)
        if isinstance(each, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.normal_(each.running_mean)
            torch.nn.init.uniform_(each.running_var, 0.5, 2)
    return module.double().eval()


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = ContextualTransformer(8, ndim=1)
    return module, (8, 4), lambda x: by_the_paper(x, module)


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"kernel_size": 5, "share": 2}, {"factor": 4, "share": 4}])
def test_follows_the_formula(options: dict[str, int]) -> None:
    """The output is that of the equations, with each option that changes them."""
    module = randomised(ContextualTransformer(8, ndim=1, **options))
    x = torch.randn(2, 8, 4, dtype=torch.float64)
    torch.testing.assert_close(module(x), by_the_paper(x, module))


@torch.no_grad()
def test_reads_neighbours_of_both_axes() -> None:
    """In two dimensions the weight of place (0, 2) of the kernel reads the upper right neighbour."""
    module = randomised(ContextualTransformer(8))
    torch.nn.init.zeros_(module.expand_norm.weight)
    torch.nn.init.zeros_(module.expand_norm.bias)
    module.expand_norm.bias[2] = 1
    x = torch.randn(2, 8, 4, 5, dtype=torch.float64)
    value = module.value_norm(module.value(x))
    read = torch.nn.functional.pad(value, (0, 1, 1, 0))[..., :-1, 1:]
    dynamic = torch.nn.functional.silu(module.norm(read))
    torch.testing.assert_close(module._contexts(x, None)[0], dynamic)


@pytest.mark.parametrize("is_training", [False, True])
def test_gradient_is_that_of_differences(is_training: bool) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = ContextualTransformer(4, ndim=1, share=2)
    module = randomised(module).train(is_training)
    x = torch.randn(3, 4, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True] * 3, [True, True, True], [True, True, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_attention_map_is_the_weight_of_the_dynamic_context() -> None:
    """The output is the mean of both contexts, weighed by the map and what it leaves."""
    module = ContextualTransformer(8).eval()
    x = torch.randn(2, 8, 4, 3)
    dynamic, static = module._contexts(x, None)
    share = module.attention_map(x).channel[..., None, None]
    torch.testing.assert_close(module(x), static + share * (dynamic - static))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 4}, "kernel_size is 4, but must be an odd whole number"),
        ({"share": 0}, "share is 0, but must be a whole number"),
        ({"share": 5}, "channels is 64, but must be a multiple of 4, .*, and of 5, the share"),
        ({"factor": 0.5}, "factor is 0.5, but must be a whole number"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"ContextualTransformer: {message}"):
        ContextualTransformer(64, **options)  # type: ignore[arg-type]  # what is tested


def test_refuses_channels_that_it_cannot_divide() -> None:
    """The convolution has 4 groups, which the message says."""
    with pytest.raises(
        InvalidValue, match="channels is 10, but must be a multiple of 4, the groups"
    ):
        ContextualTransformer(10, share=2)

"""StripPooling against its formula in loops."""

from __future__ import annotations

import copy

import pytest
import torch
from zoo_attention.spatial.strip_pool import StripPooling

from zoo import InvalidValue

MASK = torch.tensor([[[True, True, False], [True, False, False]]]).expand(2, 2, 3)


def randomize(module: StripPooling) -> StripPooling:
    """Return the module in float64 and eval mode with random weights and statistics."""
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                tensor.uniform_(0.2, 1.0)
        for parameter in module.parameters():
            parameter.sub_(0.6)
    return module.double().eval()


def strip(
    values: torch.Tensor, conv: torch.nn.Conv1d, norm: torch.nn.Module | None
) -> torch.Tensor:
    """Return a convolution of 3 along values (C, L), and its norm, position by position."""
    out = torch.zeros_like(values)
    for at in range(values.shape[1]):
        for tap in range(3):
            if 0 <= at + tap - 1 < values.shape[1]:
                out[:, at] += conv.weight.detach()[:, :, tap] @ values[:, at + tap - 1]
    if norm is None:
        return out
    state = (norm.running_mean, norm.running_var, norm.weight.detach(), norm.bias.detach())
    mean, variance, weight, bias = (s[:, None] for s in state)
    return (out - mean) / (variance + norm.eps).sqrt() * weight + bias


def by_the_paper(x: torch.Tensor, module: StripPooling) -> torch.Tensor:
    """Pool, convolve, expand, add and weigh, position by position."""
    samples, _, height, width = x.shape
    matrix, offset = module.merge.weight.detach()[..., 0], module.merge.bias.detach()
    y = torch.empty_like(x)
    for n in range(samples):
        rows = torch.stack(
            [sum(x[n, :, i, j] for j in range(width)) / width for i in range(height)], 1
        )
        columns = torch.stack(
            [sum(x[n, :, i, j] for i in range(height)) / height for j in range(width)], 1
        )
        h = strip(rows, module.row_conv, module.row_norm)
        v = strip(columns, module.column_conv, module.column_norm)
        for i in range(height):
            for j in range(width):
                total = h[:, i] + v[:, j]
                total = total if module.row_norm is None else total.clamp(min=0)
                y[n, :, i, j] = x[n, :, i, j] / (1 + torch.exp(-(matrix @ total + offset)))
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = StripPooling(4)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize("use_batch_norm", [False, True])
@pytest.mark.parametrize("size", [(4, 3), (1, 1), (1, 6)])
def test_follows_the_formula(size: tuple[int, int], use_batch_norm: bool) -> None:
    """The output is that of the equations, or with norms that of the authors' code."""
    module = randomize(StripPooling(4, use_batch_norm=use_batch_norm))
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


@pytest.mark.parametrize("use_batch_norm", [False, True])
def test_gradient_is_that_of_differences(use_batch_norm: bool) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = randomize(StripPooling(2, use_batch_norm=use_batch_norm)).train()
    x = torch.randn(2, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, MASK), (x,))


@pytest.mark.parametrize("is_training", [False, True])
def test_norms_learn_from_real_strips_only(is_training: bool) -> None:
    """With norms, too, padding changes neither the output nor what is learnt."""
    module = randomize(StripPooling(4, use_batch_norm=True)).train(is_training)
    other = copy.deepcopy(module)
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    padded = torch.full((2, 4, 6, 7), 9.0, dtype=torch.float64)
    padded[..., :3, :5] = x
    mask = torch.zeros(2, 6, 7, dtype=torch.bool)
    mask[:, :3, :5] = True
    torch.testing.assert_close(other(padded, mask)[..., :3, :5], module(x))
    torch.testing.assert_close(other.state_dict(), module.state_dict())


def test_batch_norm_refuses_one_position_in_training() -> None:
    """One position has no variance to learn; in eval mode it is welcome."""
    module = StripPooling(8, use_batch_norm=True)
    x = torch.randn(1, 8, 1, 1)
    with pytest.raises(
        InvalidValue, match=r"StripPooling: the number of positions .* is 1, but must"
    ):
        module(x)
    assert module.eval()(x).isfinite().all()


def test_attention_map_is_the_mean_gate() -> None:
    """The map is the mean over channels of what the input is multiplied by."""
    module = StripPooling(8)
    x = torch.rand(2, 8, 4, 3) + 0.5
    torch.testing.assert_close(module.attention_map(x).spatial, (module(x) / x).mean(1))


def test_refuses_bad_options() -> None:
    """Strips need two dimensions; a flag is a flag."""
    with pytest.raises(InvalidValue, match="StripPooling: ndim is 1, but must be 2 for"):
        StripPooling(8, ndim=1)
    with pytest.raises(InvalidValue, match="use_batch_norm is 1, but must be True or False"):
        StripPooling(8, use_batch_norm=1)  # type: ignore[arg-type]  # what is tested

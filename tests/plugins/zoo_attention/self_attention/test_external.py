"""ExternalAttention against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.self_attention.external import ExternalAttention

from zoo import InvalidValue


def liven(module: nn.Module) -> nn.Module:
    """Give every parameter and statistic a random value, in float64."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    for buffer in module.buffers():
        if buffer.is_floating_point():
            nn.init.uniform_(buffer, 0.5, 1.5)
    return module.double()


def by_the_paper(x: torch.Tensor, module: ExternalAttention) -> torch.Tensor:
    """Algorithm 1 for x (N, C, L), and the authors' block around it, number by number."""
    samples, _, length = x.shape
    y = torch.empty_like(x)
    for n in range(samples):
        f = [module.query.weight @ x[n, :, i] + module.query.bias for i in range(length)]
        scores = [module.memory_key.weight @ at for at in f]
        units = len(scores[0])
        a = torch.empty(length, units, dtype=x.dtype)
        for s in range(units):
            total = sum(math.exp(score[s].item()) for score in scores)
            for i in range(length):
                a[i, s] = math.exp(scores[i][s].item()) / total
        for i in range(length):
            e = module.memory_value.weight @ (a[i] / (1e-9 + sum(a[i])))
            if (norm := module.norm) is not None:
                e = (module.merge.weight @ e - norm.running_mean) / (
                    norm.running_var + norm.eps
                ).sqrt()
                e = x[n, :, i] + e * norm.weight + norm.bias
                e = torch.where(e > 0, e, 0)
            y[n, :, i] = e
    return y.detach()


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = ExternalAttention(4, memory_size=5)
    return module, (4, 3, 2), lambda x: by_the_paper(x.flatten(2), module).reshape(x.shape)


@pytest.mark.parametrize("use_block", [False, True])
def test_follows_the_formula(use_block: bool) -> None:
    """The output is the paper's algorithm, within the authors' block or without."""
    module = liven(ExternalAttention(4, memory_size=5, use_block=use_block)).eval()
    x = torch.randn(2, 4, 3, 2, dtype=torch.float64)
    expected = by_the_paper(x.flatten(2), module).reshape(x.shape)
    torch.testing.assert_close(module(x).detach(), expected)


@pytest.mark.parametrize("use_block", [False, True])
def test_gradient_is_that_of_differences(use_block: bool) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = liven(ExternalAttention(3, ndim=1, memory_size=4, use_block=use_block))
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    real = mask.unsqueeze(1).expand_as(x)
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask)[real], (x,))


def test_first_over_positions_then_over_units() -> None:
    """What the map shows sums to 1 over positions; a map of one position reads all units alike."""
    module = liven(ExternalAttention(4, memory_size=5, use_block=False))
    x = torch.randn(2, 4, 3, 2, dtype=torch.float64)
    found = module.attention_map(x).spatial
    torch.testing.assert_close(found.sum((1, 2)), torch.ones(2, dtype=torch.float64))
    one = module(x[:, :, :1, :1])
    expected = module.memory_value.weight.mean(1).expand(2, 4)
    torch.testing.assert_close(one[..., 0, 0], expected)


def test_memories_start_as_transposes() -> None:
    """M_v starts as M_k transposed, and is a parameter of its own."""
    module = ExternalAttention(8)
    assert torch.equal(module.memory_value.weight, module.memory_key.weight.T)
    assert module.memory_value.weight.data_ptr() != module.memory_key.weight.data_ptr()


def test_batch_norm_refuses_one_position_in_training() -> None:
    """One position has no variance to learn; without the block it is welcome."""
    x = torch.randn(1, 8, 1, 1)
    with pytest.raises(InvalidValue, match="number of positions in the batch is 1, but must be at"):
        ExternalAttention(8)(x)
    assert ExternalAttention(8, use_block=False)(x).isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory_size": 0}, "memory_size is 0, but must be a whole number of at least 1"),
        ({"use_block": 1}, "use_block is 1, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"ExternalAttention: {message}"):
        ExternalAttention(16, **options)  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("scale", [1, 60])
def test_float16_is_no_nan(scale: int) -> None:
    """Shares too small for float16, of masked positions or beside a peak, are not divided by 0."""
    torch.manual_seed(0)
    module = ExternalAttention(8).eval()
    x = scale * torch.randn(2, 8, 6, 6)
    mask = torch.ones(2, 6, 6, dtype=torch.bool)
    mask[:, 4:] = False
    expected = module(x, mask)
    y = module.half()(x.half().requires_grad_(), mask)
    assert y.isfinite().all()
    y.mean().backward()
    assert all(p.grad.isfinite().all() for p in module.parameters())
    torch.testing.assert_close(y.float(), expected, rtol=1e-2, atol=1e-2)

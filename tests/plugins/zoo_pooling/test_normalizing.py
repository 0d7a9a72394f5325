"""Batch norm of vectors, over real ones."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from zoo_pooling import normalizing

REAL = torch.tensor([[True, True, True, False, False], [True, False, True, True, False]])


def draw(*, garbage: float = 7.0) -> Tensor:
    """Return (2, 5, 6) numbers with garbage where REAL is False."""
    x = torch.randn(2, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return torch.where(REAL.unsqueeze(2), x + 3, garbage)


def make() -> nn.BatchNorm1d:
    """Return a norm in float64 with random weights and statistics."""
    torch.manual_seed(1)
    norm = nn.BatchNorm1d(6, momentum=0.3).double()
    for value in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        nn.init.uniform_(value, 0.5, 2.0)
    return norm


@pytest.mark.parametrize("garbage", [7.0, float("nan")])
def test_it_learns_from_real_rows_only(garbage: float) -> None:
    """Output and running statistics are those of torch's norm of the real rows; others are 0."""
    norm = make()
    other = copy.deepcopy(norm)
    y = normalizing.batch_norm(norm, draw(garbage=garbage), REAL)
    torch.testing.assert_close(y[REAL], other(draw()[REAL]))
    torch.testing.assert_close(norm.state_dict(), other.state_dict())
    assert y[~REAL].abs().max() == 0


def test_without_a_mask_it_is_torchs() -> None:
    """In training and afterwards it is the module's own function, of all rows."""
    norm = make()
    other = copy.deepcopy(norm)
    for _ in range(2):
        y = normalizing.batch_norm(norm, draw(), None)
        torch.testing.assert_close(y, other(draw().flatten(0, 1)).reshape(y.shape))
        torch.testing.assert_close(norm.state_dict(), other.state_dict())
        norm.eval(), other.eval()


@pytest.mark.parametrize("number", [0, 1])
def test_fewer_than_two_use_the_running_statistics(number: int) -> None:
    """They stay as they are, and nothing becomes NaN."""
    norm = make()
    before = copy.deepcopy(norm.state_dict())
    real = torch.zeros(2, 5, dtype=torch.bool)
    real[0, :number] = True
    y = normalizing.batch_norm(norm, draw(), real)
    torch.testing.assert_close(y[real], copy.deepcopy(norm).eval()(draw()[real]))
    torch.testing.assert_close(norm.state_dict(), before)
    assert y.isfinite().all()


def test_gradients_are_those_of_differences() -> None:
    """Gradients agree with finite differences."""
    norm = make()
    x = draw().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: normalizing.batch_norm(norm, x, REAL), (x,))


def test_it_compiles_in_one_piece() -> None:
    """The tracer finds nothing to break the graph at, in training with a mask."""
    torch._dynamo.reset()
    norm = make()
    other = copy.deepcopy(norm)
    compiled = torch.compile(normalizing.batch_norm, backend="eager", fullgraph=True)
    found = compiled(norm, draw(), REAL)
    torch.testing.assert_close(found, normalizing.batch_norm(other, draw(), REAL))
    torch.testing.assert_close(norm.state_dict(), other.state_dict())

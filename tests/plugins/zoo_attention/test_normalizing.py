"""Norms over real positions."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from zoo_attention import normalizing

torch.set_num_threads(1)

MASK = torch.tensor([[True, True, True, False, False], [True, False, True, True, False]])


def draw(*, garbage: float = 7.0) -> torch.Tensor:
    """Return (2, 6, 5) numbers with garbage where MASK is False."""
    x = torch.randn(2, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return torch.where(MASK.unsqueeze(1), x + 3, garbage)


def randomize(norm: nn.Module) -> nn.Module:
    """Return the norm in float64 with random weights."""
    torch.manual_seed(1)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    return norm.double()


@pytest.mark.parametrize("garbage", [7.0, float("nan")])
def test_moments_are_those_of_real_values(garbage: float) -> None:
    """Mean and variance of a channel are those of its real values."""
    mean, variance = normalizing.moments(draw(garbage=garbage), MASK)
    for n in range(2):
        real = draw()[n][:, MASK[n]]
        torch.testing.assert_close(mean[n], real.mean(1))
        torch.testing.assert_close(variance[n], real.var(1, correction=0))


def test_moments_do_not_cancel() -> None:
    """A large mean does not swallow the variance, and half precision is widened."""
    x = torch.tensor([[[1e4, 1e4 + 1]]])
    assert normalizing.moments(x, None)[1].item() == pytest.approx(0.25)
    assert normalizing.moments(x.half(), None)[0].dtype == torch.float32


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("garbage", [7.0, float("nan")])
def test_group_norm_sees_real_positions_only(groups: int, garbage: float) -> None:
    """A sample comes out as torch's norm gives it without its masked positions."""
    norm = randomize(nn.GroupNorm(groups, 6))
    y = normalizing.group_norm(norm, draw(garbage=garbage), MASK)
    for n in range(2):
        expected = norm(draw()[n][None, :, MASK[n]])[0]
        torch.testing.assert_close(y[n][:, MASK[n]], expected)
        assert y[n][:, ~MASK[n]].abs().max() == 0
    torch.testing.assert_close(normalizing.group_norm(norm, draw(), None), norm(draw()))


def test_group_norm_of_one_value_is_its_bias() -> None:
    """A group of one value, which torch's module refuses, is no 0/0."""
    norm = randomize(nn.GroupNorm(3, 3))
    x = torch.randn(1, 3, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(normalizing.group_norm(norm, x, None)[0, :, 0, 0], norm.bias)


@pytest.mark.parametrize("garbage", [7.0, float("nan")])
def test_batch_norm_learns_from_real_positions_only(garbage: float) -> None:
    """Output and running statistics are those of the real values in one long row."""
    norm = randomize(nn.BatchNorm1d(6, momentum=0.3))
    other = copy.deepcopy(norm)
    y = normalizing.batch_norm(norm, draw(garbage=garbage), MASK)
    row = torch.cat([draw()[n][:, MASK[n]] for n in range(2)], 1)  # (6, 6)
    expected = other(row[None])[0]
    found = torch.cat([y[n][:, MASK[n]] for n in range(2)], 1)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(norm.state_dict(), other.state_dict())
    assert y[0][:, ~MASK[0]].abs().max() == 0


def test_batch_norm_without_a_mask_is_torchs() -> None:
    """In training and afterwards it is the module's own function."""
    norm = randomize(nn.BatchNorm1d(6))
    other = copy.deepcopy(norm)
    torch.testing.assert_close(normalizing.batch_norm(norm, draw(), None), other(draw()))
    torch.testing.assert_close(norm.state_dict(), other.state_dict())
    torch.testing.assert_close(
        normalizing.batch_norm(norm.eval(), draw(), None), other.eval()(draw())
    )


@pytest.mark.parametrize("is_masked", [False, True])
def test_batch_norm_of_one_value_uses_what_it_has_learnt(is_masked: bool) -> None:
    """One value a channel is normalised by the running statistics, which stay as they are."""
    norm = randomize(nn.BatchNorm1d(6))
    norm.running_mean.fill_(2.0)
    before = copy.deepcopy(norm.state_dict())
    x = draw()[:1] if is_masked else draw()[:1, :, :1]
    mask = torch.tensor([[True, False, False, False, False]]) if is_masked else None
    y = normalizing.batch_norm(norm, x, mask)
    torch.testing.assert_close(y[..., :1], copy.deepcopy(norm).eval()(x[..., :1]))
    torch.testing.assert_close(norm.state_dict(), before)


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(6), nn.GroupNorm(2, 6)], ids=["batch", "group"])
def test_masked_gradients_are_those_of_differences(norm: nn.Module) -> None:
    """Gradients of both masked norms agree with finite differences."""
    randomize(norm)
    norm.running_mean = torch.zeros(6, dtype=torch.float64)
    is_batch = isinstance(norm, nn.BatchNorm1d)
    function = normalizing.batch_norm if is_batch else normalizing.group_norm
    x = draw().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: function(norm, x, MASK), (x,))


def test_masked_norms_keep_the_dtype_and_sum_in_a_wider_one() -> None:
    """In bfloat16, the statistics of many values are not lost by adding them one to another."""
    x = (torch.randn(1, 2, 3000, generator=torch.Generator().manual_seed(0)) + 4).bfloat16()
    mask = torch.ones(1, 3000, dtype=torch.bool)
    for norm, function in (
        (nn.BatchNorm1d(2).bfloat16(), normalizing.batch_norm),
        (nn.GroupNorm(1, 2).bfloat16(), normalizing.group_norm),
    ):
        y = function(norm, x, mask)
        assert y.dtype == torch.bfloat16
        assert y.float().mean().abs() < 0.02
        assert abs(y.float().std() - 1) < 0.02


def test_batch_norm_compiles_in_one_piece() -> None:
    """The tracer finds nothing to break the graph at, in training with a mask."""
    torch._dynamo.reset()
    norm = nn.BatchNorm1d(6).double()
    other = copy.deepcopy(norm)
    compiled = torch.compile(normalizing.batch_norm, backend="eager", fullgraph=True)
    found = compiled(norm, draw(), MASK)
    torch.testing.assert_close(found, normalizing.batch_norm(other, draw(), MASK))
    torch.testing.assert_close(norm.state_dict(), other.state_dict())


def test_batch_norm_needs_running_statistics() -> None:
    """A norm that keeps none is refused, with the reason."""
    with pytest.raises(TypeError, match="running statistics and a momentum"):
        normalizing.batch_norm(nn.BatchNorm1d(6, track_running_stats=False), draw(), None)

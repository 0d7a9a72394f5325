"""What attentions over positions share, against loops."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from zoo_attention.self_attention import reading


@pytest.mark.parametrize("heads", [(), (3,)])
@pytest.mark.parametrize("width", [2, 5])
def test_attend_is_softmax_times_values(heads: tuple[int, ...], width: int) -> None:
    """Queries read real keys only, whatever the widths; a sample without any reads them all."""
    torch.manual_seed(0)
    query, key = torch.randn(2, *heads, 4, 2), torch.randn(2, *heads, 6, 2)
    value = torch.randn(2, *heads, 6, width)
    mask = torch.tensor([[True] * 4 + [False] * 2, [False] * 6])
    found = reading.attend(query, key, value, mask, scale=0.7)
    scores = torch.einsum("...id,...jd->...ij", query, key) * 0.7
    for n, keys in enumerate((4, 6)):
        weights = scores[n, ..., :keys].exp()
        weights = weights / weights.sum(-1, keepdim=True)
        expected = torch.einsum("...ij,...jd->...id", weights, value[n, ..., :keys, :])
        torch.testing.assert_close(found[n], expected)
    shares = reading.received(query, key, mask, scale=0.7, queries=torch.ones(2, 4).bool())
    torch.testing.assert_close(shares.sum(1), torch.ones(2))
    assert not shares[0, 4:].any()


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # by torch itself
def test_forward_mode_needs_torchs_plain_attention() -> None:
    """Under it forward mode gives the slope of finite differences."""
    query, key, value = torch.randn(3, 2, 4, 5, dtype=torch.float64)
    with sdpa_kernel(SDPBackend.MATH):
        assert torch.autograd.gradcheck(
            lambda query: reading.attend(query, key, value, None, scale=0.7),
            query.requires_grad_(),
            check_forward_ad=True,
        )


def test_shares_sum_to_one() -> None:
    """Weights are divided by their sum; where all are 0 they become equal."""
    found = reading.shares(torch.tensor([[[1.0, 3.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]]))
    expected = torch.tensor([[[0.125, 0.375], [0.0, 0.5]], [[0.25, 0.25], [0.25, 0.25]]])
    assert torch.equal(found, expected)


def test_unit_has_length_one_in_float16_as_well() -> None:
    """Squares that float16 cannot hold do no harm, nor do zeros, whose gradient is finite."""
    x = torch.tensor([[300.0, 400.0], [0.0, 0.0]], dtype=torch.float16, requires_grad=True)
    y = reading.unit(x, 1)
    y.sum().backward()
    torch.testing.assert_close(y, torch.tensor([[0.6, 0.8], [0.0, 0.0]]).half())
    assert x.grad.isfinite().all()
    torch.testing.assert_close(reading.unit(x.double(), 1)[0], torch.tensor([0.6, 0.8]).double())


def test_exact_products_are_not_rounded_by_autocast() -> None:
    """They keep the dtype of their factors; on the meta device, where autocast fails, as well."""
    with torch.autocast("cpu", torch.bfloat16):
        for device in ("cpu", "meta"):
            x = torch.ones(2, 2, device=device)
            with reading.exact(x):
                assert (x @ x).dtype == torch.float32
        x = torch.ones(2, 2)
        assert (x @ x).dtype == torch.bfloat16

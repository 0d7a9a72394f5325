"""KMaxPool against its formula in loops."""

from __future__ import annotations

import pytest
import torch
from zoo_pooling.kmax import KMaxPool
from zoo_pooling.max import MaxPool

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, k: int) -> torch.Tensor:
    """Keep the k largest values of each channel, in their order, and fill up with zeros."""
    rows = []
    for sample in x.transpose(2, -1).flatten(2).tolist():
        row = []
        for values in sample:
            largest = sorted(range(len(values)), key=lambda place: -values[place])[:k]
            kept = [values[place] for place in sorted(largest)]
            row += kept + [0.0] * (k - len(kept))
        rows.append(row)
    return torch.tensor(rows, dtype=x.dtype)


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    head = KMaxPool(4, k=3)
    return head, (4, 3, 2), lambda x: by_the_paper(x, 3)


@pytest.mark.parametrize("size", [(3, 2), (5,), (2,)])
@pytest.mark.parametrize("k", [1, 3, 4])
def test_follows_the_formula(size: tuple[int, ...], k: int) -> None:
    """Each channel comes out as its k largest values, in their order, and zeros where it is short."""
    torch.manual_seed(0)
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    head = KMaxPool(4, ndim=len(size), k=k)
    assert head.out_features == 4 * k
    torch.testing.assert_close(head(x), by_the_paper(x, k))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    head = KMaxPool(3, ndim=1, k=3)
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [False, True, False, True]])
    assert torch.autograd.gradcheck(head, (x,))
    assert torch.autograd.gradcheck(lambda x: head(x, mask), (x,))


def test_holes_in_a_mask_leave_no_holes() -> None:
    """Real values come first, wherever the masked ones stand, even negative ones."""
    x = torch.tensor([[[9.0, -2.0, 9.0, -1.0]]])
    mask = torch.tensor([[False, True, False, True]])
    assert KMaxPool(1, ndim=1, k=3)(x, mask).tolist() == [[-2.0, -1.0, 0.0]]


def test_one_is_the_maximum() -> None:
    """With k = 1 it is maximum pooling."""
    x = torch.randn(2, 8, 5, 3)
    assert torch.equal(KMaxPool(8, k=1)(x), MaxPool(8)(x))


@pytest.mark.parametrize("k", [0, -1, 2.0, True, "2"])
def test_refuses_a_bad_number(k: object) -> None:
    """A number of values is a whole number from 1."""
    with pytest.raises(InvalidValue, match=r"KMaxPool: k is .* at least 1"):
        KMaxPool(8, k=k)  # type: ignore[arg-type]  # what is tested

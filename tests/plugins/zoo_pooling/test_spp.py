"""SpatialPyramidPool against its formula in loops, and against adaptive pooling."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional
from zoo_pooling.spp import SpatialPyramidPool

from zoo import InvalidValue


def edges(size: int, bins: int) -> list[tuple[int, int]]:
    """Return the first position of each bin and the one behind its last."""
    return [(math.floor(i * size / bins), math.ceil((i + 1) * size / bins)) for i in range(bins)]


def by_the_paper(x: torch.Tensor, bins: tuple[int, ...]) -> torch.Tensor:
    """Take the maximum over each bin of each level, number by number."""
    samples = []
    for sample in x:
        row = []
        for number in bins:
            for channel in sample:
                for top, bottom in edges(channel.shape[0], number):
                    for left, right in edges(channel.shape[1], number):
                        window = channel[top:bottom, left:right].flatten().tolist()
                        row.append(sorted(window)[-1])
        samples.append(row)
    return torch.tensor(samples, dtype=x.dtype)


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    head = SpatialPyramidPool(4, bins=(1, 2))
    return head, (4, 3, 2), lambda x: by_the_paper(x, (1, 2))


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 7), (8, 4)])
@pytest.mark.parametrize("bins", [(1, 2, 4), (3, 2), (6,)])
def test_follows_the_formula(size: tuple[int, int], bins: tuple[int, ...]) -> None:
    """Levels come out one after the other, whether or not their edges coincide."""
    torch.manual_seed(0)
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(SpatialPyramidPool(3, bins=bins)(x), by_the_paper(x, bins))


def test_equals_adaptive_pooling() -> None:
    """Each level of a sequence is torch's adaptive maximum pooling."""
    x = torch.randn(2, 3, 7)
    levels = [functional.adaptive_max_pool1d(x, number).flatten(1) for number in (1, 2, 4)]
    torch.testing.assert_close(SpatialPyramidPool(3, ndim=1)(x), torch.cat(levels, 1))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    head = SpatialPyramidPool(2, bins=(1, 2))
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(2, 3, 3) > 0.3
    assert torch.autograd.gradcheck(head, (x,))
    assert torch.autograd.gradcheck(lambda x: head(x, mask), (x,))


def test_each_sample_has_its_own_box() -> None:
    """Bins divide each sample's real positions, wherever they are; one without any gives zeros."""
    x = torch.arange(1.0, 7.0).expand(3, 1, 6).contiguous()
    mask = torch.tensor([[1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1], [1, 0, 0, 0, 0, 1]]).bool()
    y = SpatialPyramidPool(1, ndim=1, bins=(2, 3))(x, mask)
    expected = [[2, 4, 2, 3, 4], [4, 6, 4, 5, 6], [1, 6, 1, 0, 6]]
    torch.testing.assert_close(y, torch.tensor(expected).float())


@pytest.mark.parametrize("bins", [[], "124", 4, None])
def test_refuses_bins_that_are_no_list(bins: object) -> None:
    """At least one level is needed."""
    with pytest.raises(InvalidValue, match=r"SpatialPyramidPool: bins is .* whole numbers"):
        SpatialPyramidPool(8, bins=bins)  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("number", [0, -1, 2.0, True, "2"])
def test_refuses_a_bad_bin(number: object) -> None:
    """A number of bins is a whole number from 1."""
    with pytest.raises(InvalidValue, match=r"one of bins is .* at least 1"):
        SpatialPyramidPool(8, bins=[1, number])  # type: ignore[list-item]  # what is tested

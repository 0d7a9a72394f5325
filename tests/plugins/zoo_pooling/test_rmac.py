"""RegionalMaximumActivations against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_pooling.rmac import RegionalMaximumActivations

from zoo import InvalidValue


def starts(size: int, width: int, number: int) -> list[int]:
    """Return where `number` evenly spaced windows of `width` begin."""
    if number == 1:
        return [0]
    return [math.floor(i * (size - width) / (number - 1)) for i in range(number)]


def steps(height: int, width: int, overlap: float) -> int:
    """Return how many squares lie along the long side at the first scale."""
    if height == width:
        return 1
    short, long = sorted((height, width))
    shared = {m: 1 - (long - short) / ((m - 1) * short) for m in range(2, 8)}
    return min(shared, key=lambda m: abs(shared[m] - overlap))


def unit(vector: list[float]) -> list[float]:
    """Return a vector divided by its length."""
    length = math.sqrt(sum(v * v for v in vector))
    return [v / length for v in vector]


def by_the_paper(
    x: torch.Tensor, scales: int = 3, overlap: float = 0.4, *, use_whole: bool = False
) -> torch.Tensor:
    """Add up the maxima of every region, region by region."""
    _, _, height, width = x.shape
    m = steps(height, width, overlap)
    squares = [(0, 0, height, width)] if use_whole else []
    for scale in range(1, scales + 1):
        side = 2 * min(height, width) // (scale + 1)
        if side == 0:
            continue
        rows = starts(height, side, scale + m - 1 if height > width else scale)
        columns = starts(width, side, scale + m - 1 if width > height else scale)
        squares += [(i, j, i + side, j + side) for i in rows for j in columns]
    samples = []
    for sample in x:
        total = [0.0] * x.shape[1]
        for top, left, bottom, right in squares:
            maxima = [max(c[top:bottom, left:right].flatten().tolist()) for c in sample]
            total = [a + b for a, b in zip(total, unit(maxima), strict=True)]
        samples.append(unit(total))
    return torch.tensor(samples, dtype=x.dtype)


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    head = RegionalMaximumActivations(4)
    return head, (4, 3, 2), by_the_paper


@pytest.mark.parametrize(
    "size", [(1, 1), (2, 2), (3, 2), (5, 7), (6, 6), (4, 20), (13, 3), (2, 40)]
)
def test_follows_the_formula(size: tuple[int, int]) -> None:
    """Small, square, wide and high maps have the regions of the paper."""
    torch.manual_seed(0)
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(RegionalMaximumActivations(3)(x), by_the_paper(x))


def test_follows_its_options() -> None:
    """Other scales and overlaps, and the whole map, change the regions."""
    torch.manual_seed(0)
    x = torch.randn(2, 3, 6, 11, dtype=torch.float64)
    default = RegionalMaximumActivations(3)(x)
    for options in ({"scales": 2}, {"overlap": 0.8}, {"use_whole": True}):
        y = RegionalMaximumActivations(3, **options)(x)
        torch.testing.assert_close(y, by_the_paper(x, **options))
        assert not torch.allclose(y, default, atol=1e-4)


def test_a_sequence_has_as_many_regions_as_its_scale() -> None:
    """Two regions at the second scale, each two thirds of the sequence."""
    x = torch.randn(2, 3, 6, dtype=torch.float64)
    parts = [x.amax(2), x[..., :4].amax(2), x[..., 2:].amax(2)]
    total = torch.stack([part / part.norm(dim=1, keepdim=True) for part in parts]).sum(0)
    y = RegionalMaximumActivations(3, ndim=1, scales=2)(x)
    torch.testing.assert_close(y, total / total.norm(dim=1, keepdim=True))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    head = RegionalMaximumActivations(2, scales=2)
    x = torch.randn(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.ones(2, 3, 4, dtype=torch.bool)
    mask[0, :, 3:] = False
    mask[1, 1, 1] = False
    assert torch.autograd.gradcheck(head, (x,))
    assert torch.autograd.gradcheck(lambda x: head(x, mask), (x,))


@pytest.mark.parametrize("overlap", [-0.1, 1, float("nan"), True, "0.4"])
def test_refuses_a_bad_overlap(overlap: object) -> None:
    """An overlap is a share below 1."""
    with pytest.raises(InvalidValue, match=r"RegionalMaximumActivations: overlap is .* from 0"):
        RegionalMaximumActivations(8, overlap=overlap)  # type: ignore[arg-type]  # what is tested


def test_refuses_other_bad_options() -> None:
    """The other options are checked, too."""
    with pytest.raises(InvalidValue, match="scales is 0, but must be a whole number"):
        RegionalMaximumActivations(8, scales=0)
    with pytest.raises(InvalidValue, match="use_whole is 1, but must be True or False"):
        RegionalMaximumActivations(8, use_whole=1)  # type: ignore[arg-type]  # what is tested


def test_a_map_of_zeros_has_no_huge_gradient() -> None:
    """What a length close to 0 divides does not drown the other samples."""
    torch.manual_seed(0)
    x = torch.zeros(1, 8, 6, 6, requires_grad=True)
    y = RegionalMaximumActivations(8)(x)
    (y * torch.randn_like(y)).sum().backward()
    assert x.grad.abs().max() < 1e14

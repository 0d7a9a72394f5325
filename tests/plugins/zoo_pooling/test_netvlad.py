"""NetVLAD against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_pooling.netvlad import NetVLAD

from zoo import InvalidValue


def unit(vector: torch.Tensor) -> torch.Tensor:
    """Return a vector divided by its length."""
    return vector / vector.square().sum().sqrt()


def by_the_paper(x: torch.Tensor, head: NetVLAD) -> torch.Tensor:
    """Add up residuals, vector by vector and centre by centre."""
    samples = []
    for vectors in x.flatten(2).transpose(1, 2):  # (P, C)
        residuals = torch.zeros_like(head.centres)
        for vector in map(unit, vectors):
            scores = (head.assign.weight @ vector + head.assign.bias).tolist()
            total = sum(math.exp(score) for score in scores)
            for k, score in enumerate(scores):
                residuals[k] += math.exp(score) / total * (vector - head.centres[k])
        samples.append(unit(torch.cat([unit(row) for row in residuals])))
    return torch.stack(samples)


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    head = NetVLAD(4, num_centres=3)
    return head, (4, 3, 2), lambda x: by_the_paper(x, head)


@pytest.mark.parametrize("size", [(3, 2), (5,)])
def test_follows_the_formula(size: tuple[int, ...]) -> None:
    """Residuals to each centre come out one after the other."""
    torch.manual_seed(0)
    head = NetVLAD(4, ndim=len(size), num_centres=3, alpha=2.0).double().requires_grad_(False)
    head.assign.bias.normal_()
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(head(x), by_the_paper(x, head))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    head = NetVLAD(3, ndim=1, num_centres=2, alpha=1.0).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(head, (x,))
    assert torch.autograd.gradcheck(lambda x: head(x, mask), (x,))


def test_starts_in_the_nearest_centre() -> None:
    """The first weights are the softmax of minus alpha times the squared distance to each centre."""
    torch.manual_seed(0)
    head = NetVLAD(4, num_centres=3, alpha=5.0).requires_grad_(False)
    head.set_centres(torch.randn(3, 4))  # of any length: the square of it counts
    x = torch.randn(6, 4)
    distances = (x.unsqueeze(1) - head.centres).square().sum(2)
    torch.testing.assert_close(head.assign(x).softmax(1), (-5.0 * distances).softmax(1))


def test_refuses_bad_options_and_centres() -> None:
    """Number, firmness and shape of centres are checked."""
    with pytest.raises(InvalidValue, match="num_centres is 0, but must be a whole number"):
        NetVLAD(8, num_centres=0)
    with pytest.raises(InvalidValue, match="alpha is 0, but must be a finite number above 0"):
        NetVLAD(8, alpha=0)
    with pytest.raises(InvalidValue, match=r"shape of centres is \(2, 8\), but must be \(64, 8\)"):
        NetVLAD(8).set_centres(torch.zeros(2, 8))


def test_a_map_of_zeros_has_no_huge_gradient() -> None:
    """What a length close to 0 divides does not drown the other samples."""
    torch.manual_seed(0)
    x = torch.zeros(1, 8, 6, 6, requires_grad=True)
    y = NetVLAD(8)(x)
    (y * torch.randn_like(y)).sum().backward()
    assert x.grad.abs().max() < 1e8

"""CovariancePool against its formula in loops, and against the eigenvalues of the covariance."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from zoo_pooling.covariance import CovariancePool

from zoo import InvalidValue


def randomize(head: CovariancePool) -> CovariancePool:
    """Return the head in float64, in eval mode, with a norm that does something."""
    torch.manual_seed(0)
    for value in (head.norm.weight, head.norm.bias, head.norm.running_mean, head.norm.running_var):
        nn.init.uniform_(value, 0.2, 0.8)
    return head.double().eval().requires_grad_(False)


def covariance(x: torch.Tensor, head: CovariancePool) -> torch.Tensor:
    """Return the covariance of what the layer and its norm give for one sample (C, *spatial), sum by sum."""
    norm = head.norm
    vectors = []
    for v in x.flatten(1).T:
        u = (head.reduce.weight @ v - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
        vectors.append((u * norm.weight + norm.bias).clamp(min=0))
    mean = sum(vectors) / len(vectors)
    return sum(torch.outer(u - mean, u - mean) for u in vectors) / len(vectors)


def triangle(matrix: torch.Tensor) -> torch.Tensor:
    """Return the upper triangle, row by row."""
    return torch.stack([matrix[i, j] for i in range(len(matrix)) for j in range(i, len(matrix))])


def by_the_paper(x: torch.Tensor, head: CovariancePool) -> torch.Tensor:
    """Iterate, sample by sample."""
    eye = torch.eye(len(head.norm.weight), dtype=x.dtype)
    samples = []
    for sample in x:
        s = covariance(sample, head)
        trace = s.trace() + head.eps
        y, z = s / trace, eye
        for _ in range(head.num_steps):
            t = (3 * eye - z @ y) / 2
            y, z = y @ t, t @ z
        samples.append(triangle(trace.sqrt() * y))
    return torch.stack(samples)


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    head = CovariancePool(4, size=3)
    return head, (4, 3, 2), lambda x: by_the_paper(x, head)


@pytest.mark.parametrize("num_steps", [2, 3, 5])
@pytest.mark.parametrize("size", [(3, 4), (7,)])
def test_follows_the_formula(size: tuple[int, ...], num_steps: int) -> None:
    """The output is that of the iteration."""
    head = randomize(CovariancePool(4, ndim=len(size), size=3, num_steps=num_steps))
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(head(x), by_the_paper(x, head))


def test_many_steps_reach_the_square_root() -> None:
    """The iteration goes where the eigenvalues say."""
    head = randomize(CovariancePool(4, size=3, num_steps=30, eps=1e-12))
    x = torch.randn(1, 4, 6, 5, dtype=torch.float64)
    values, vectors = torch.linalg.eigh(covariance(x[0], head))
    root = vectors @ values.sqrt().diag() @ vectors.T
    torch.testing.assert_close(head(x)[0], triangle(root), rtol=1e-6, atol=1e-6)


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    head = randomize(CovariancePool(3, ndim=1, size=2))
    x = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True] * 4 + [False], [True] * 3 + [False] * 2])
    assert torch.autograd.gradcheck(head, (x,))
    assert torch.autograd.gradcheck(lambda x: head(x, mask), (x,))


def test_the_norm_learns_from_real_positions() -> None:
    """Padding moves neither the output nor the running statistics in training."""
    torch.manual_seed(0)
    plain, padded = CovariancePool(4, ndim=1), CovariancePool(4, ndim=1)
    padded.load_state_dict(plain.state_dict())
    x = torch.randn(2, 4, 6)
    wider = torch.cat([x, torch.full((2, 4, 3), float("nan"))], 2)
    mask = torch.arange(9).expand(2, 9) < 6
    torch.testing.assert_close(padded(wider, mask), plain(x))
    torch.testing.assert_close(padded.norm.running_var, plain.norm.running_var)


@pytest.mark.parametrize("mask", [None, torch.tensor([[True, False]])])
def test_one_position_is_normed_by_the_running_statistics(mask: torch.Tensor | None) -> None:
    """It has no covariance, and the statistics stay."""
    head = CovariancePool(4, ndim=1)
    assert head(torch.randn(1, 4, 1 if mask is None else 2), mask).abs().max() < 1e-6
    assert torch.equal(head.norm.running_mean, torch.zeros(4))


def test_maps_of_few_positions_have_a_root() -> None:
    """A covariance without full rank gives finite numbers and gradients."""
    head = CovariancePool(16).eval()
    x = torch.randn(1, 16, 2, 1).requires_grad_()
    y = head(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert y.abs().max() > 0
    assert x.grad.isfinite().all()


def test_a_map_without_variation_gives_zeros() -> None:
    """And a finite gradient, where the root of 0 has none."""
    head = CovariancePool(8).eval()
    x = torch.ones(1, 8, 3, 3).requires_grad_()
    y = head(x)
    y.sum().backward()
    assert y.abs().max() < 1e-6
    assert x.grad.isfinite().all()


def test_never_has_more_channels_than_the_map() -> None:
    """256 of many, all of few."""
    assert CovariancePool(300).out_features == 256 * 257 // 2
    assert CovariancePool(8).out_features == 36
    assert CovariancePool(8)(torch.randn(2, 8, 4, 4)).shape == (2, 36)


def test_refuses_bad_options() -> None:
    """Size, steps and eps are checked."""
    with pytest.raises(InvalidValue, match="CovariancePool: size is 0, but must be a whole number"):
        CovariancePool(8, size=0)
    with pytest.raises(InvalidValue, match=r"num_steps is 1, but must be .* at least 2"):
        CovariancePool(8, num_steps=1)
    with pytest.raises(InvalidValue, match="eps is 0, but must be a finite number above 0"):
        CovariancePool(8, eps=0)

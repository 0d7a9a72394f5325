"""ChannelReading against its formula in loops."""

from __future__ import annotations

import pytest
import torch
from zoo_attention.self_attention.cam import ChannelReading

from zoo import InvalidValue


def weights_by_the_paper(a: torch.Tensor, *, use_distance: bool) -> torch.Tensor:
    """Equation 3 for a map (N, C, L): how much channel j reads channel i, at [n, j, i]."""
    samples, channels, _ = a.shape
    s = torch.empty(samples, channels, channels, dtype=a.dtype)
    for n in range(samples):
        for j in range(channels):
            energy = torch.stack([sum(a[n, i] * a[n, j]) for i in range(channels)])
            if use_distance:
                energy = max(energy.tolist()) - energy
            likeness = (energy - energy.max()).exp()
            s[n, j] = likeness / likeness.sum()
    return s


def by_the_paper(x: torch.Tensor, module: ChannelReading) -> torch.Tensor:
    """Return equation 4, with the softmax of the paper or the code."""
    s = weights_by_the_paper(x.flatten(2), use_distance=module.use_distance)
    return module.beta.detach() * torch.einsum("nji,ni...->nj...", s, x) + x


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = ChannelReading(4)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize("use_distance", [False, True])
@pytest.mark.parametrize("size", [(3, 2), (5,)])
def test_follows_the_formula(size: tuple[int, ...], use_distance: bool) -> None:
    """The output is equation 4, with the paper's softmax or the code's."""
    torch.manual_seed(0)
    module = ChannelReading(4, ndim=len(size), use_distance=use_distance).double()
    torch.nn.init.constant_(module.beta, 0.7)
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))
    s = weights_by_the_paper(x.flatten(2), use_distance=use_distance)
    torch.testing.assert_close(module.attention_map(x).channel, s.mean(1))


def test_the_paper_reads_likes_and_the_code_reads_unlikes() -> None:
    """Two equal channels read each other in the paper, and not in the authors' code."""
    wave = torch.tensor([1.0, -1.0, 1.0, -1.0])
    x = 3 * torch.stack([wave, wave, -wave]).unsqueeze(0)
    paper = ChannelReading(3, ndim=1).attention_map(x).channel
    code = ChannelReading(3, ndim=1, use_distance=True).attention_map(x).channel
    torch.testing.assert_close(paper, torch.full((1, 3), 1 / 3))
    torch.testing.assert_close(code, torch.tensor([[1 / 6, 1 / 6, 2 / 3]]))


@pytest.mark.parametrize("use_distance", [False, True])
def test_gradient_is_that_of_differences(use_distance: bool) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    module = ChannelReading(3, ndim=1, use_distance=use_distance).double()
    torch.nn.init.constant_(module.beta, 0.7)
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_starts_as_identity() -> None:
    """Beta is 0 at the start."""
    x = torch.randn(2, 8, 3, 4)
    assert torch.equal(ChannelReading(8)(x), x)


def test_refuses_bad_options() -> None:
    """The option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match="ChannelReading: use_distance is 1, but must be True"):
        ChannelReading(16, use_distance=1)  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("use_distance", [False, True])
def test_float16_does_not_overflow(use_distance: bool) -> None:
    """Products over a large map are no infinity, of which the softmax would be NaN."""
    torch.manual_seed(0)
    module = ChannelReading(8, use_distance=use_distance)
    torch.nn.init.ones_(module.beta)
    x = 6 * torch.randn(1, 8, 64, 64)
    y = module.half()(x.half().requires_grad_())
    y.mean().backward()
    assert module.beta.grad.isfinite()
    torch.testing.assert_close(y.float(), module.float()(x), rtol=1e-2, atol=1e-2)

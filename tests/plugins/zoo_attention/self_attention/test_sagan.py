"""SelfAttentionGAN against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from zoo_attention.self_attention.sagan import SelfAttentionGAN

from zoo import InvalidValue


def liven(module: nn.Module) -> nn.Module:
    """Give every parameter a random value, in float64."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def by_the_paper(
    x: torch.Tensor, module: SelfAttentionGAN, windows: list[list[int]] | None = None
) -> torch.Tensor:
    """Equations 1 to 3 for x (N, C, L), `windows` of positions pooled before they are read."""
    samples, _, length = x.shape
    windows = windows or [[i] for i in range(length)]
    w_f, w_g, w_h, w_v = (
        layer.weight.detach() for layer in (module.f, module.g, module.h, module.v)
    )
    y = torch.empty_like(x)
    for n in range(samples):
        f = [torch.stack([w_f @ x[n, :, i] for i in w]).amax(0) for w in windows]
        h = [torch.stack([w_h @ x[n, :, i] for i in w]).amax(0) for w in windows]
        for j in range(length):
            g = w_g @ x[n, :, j]
            s = [math.exp(sum(key * g).item()) for key in f]
            o = w_v @ sum(w / sum(s) * value for w, value in zip(s, h, strict=True))
            y[n, :, j] = module.gamma.item() * o + x[n, :, j]
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = SelfAttentionGAN(8)
    return module, (8, 3, 2), lambda x: by_the_paper(x.flatten(2), module).reshape(x.shape)


@pytest.mark.parametrize("options", [{}, {"reduction": 2, "value_reduction": 1}])
def test_follows_the_formula(options: dict[str, int]) -> None:
    """The output is that of the paper's equations, with the softmax over what is read."""
    module = liven(SelfAttentionGAN(8, **options))
    x = torch.randn(2, 8, 3, 2, dtype=torch.float64)
    expected = by_the_paper(x.flatten(2), module).reshape(x.shape)
    torch.testing.assert_close(module(x).detach(), expected)


def test_subsampling_follows_the_formula() -> None:
    """With subsampling, maxima over windows of two by two are read, and of what is left at the edge."""
    module = liven(SelfAttentionGAN(8, value_reduction=2, use_subsampling=True))
    x = torch.randn(2, 8, 3, 2, dtype=torch.float64)
    expected = by_the_paper(x.flatten(2), module, [[0, 1, 2, 3], [4, 5]]).reshape(x.shape)
    torch.testing.assert_close(module(x).detach(), expected)


@pytest.mark.parametrize("use_subsampling", [False, True])
def test_gradient_is_that_of_differences(use_subsampling: bool) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = liven(SelfAttentionGAN(4, ndim=1, reduction=2, use_subsampling=use_subsampling))
    x = torch.randn(2, 4, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_starts_as_identity() -> None:
    """Gamma is 0 at the start."""
    x = torch.randn(2, 8, 3, 4)
    assert torch.equal(SelfAttentionGAN(8)(x), x)


@pytest.mark.parametrize("use_subsampling", [False, True])
def test_attention_map_is_what_positions_receive(use_subsampling: bool) -> None:
    """The map is the mean over readers; padding is not read, and its readers do not count."""
    module = liven(SelfAttentionGAN(8, use_subsampling=use_subsampling))
    x = torch.randn(2, 8, 3, 5, dtype=torch.float64)
    mask = (torch.arange(5) < 4).expand(2, 3, 5)
    found = module.attention_map(x, mask).spatial
    torch.testing.assert_close(found[..., :4], module.attention_map(x[..., :4]).spatial)
    assert not found[..., 4].any()
    if not use_subsampling:
        row = x.flatten(2)
        f, g = (torch.einsum("dc,ncl->ndl", w.weight, row) for w in (module.f, module.g))
        expected = torch.einsum("ndi,ndj->nij", f, g).softmax(1).mean(2)
        torch.testing.assert_close(module.attention_map(x).spatial.flatten(1), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction is 0, but must be a whole number of at least 1"),
        ({"value_reduction": 1.5}, "value_reduction is 1.5, but must be a whole number"),
        ({"use_subsampling": 1}, "use_subsampling is 1, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"SelfAttentionGAN: {message}"):
        SelfAttentionGAN(16, **options)  # type: ignore[arg-type]  # what is tested


def test_a_gradient_penalty_needs_torchs_plain_attention() -> None:
    """Under it there are second derivatives, as the header says."""
    module = liven(SelfAttentionGAN(8)).float()
    x = torch.randn(1, 8, 3, 3, requires_grad=True)
    with sdpa_kernel(SDPBackend.MATH):
        y = module(x)
    (gradient,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in module.parameters())

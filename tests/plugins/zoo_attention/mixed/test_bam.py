"""BottleneckAttention against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.mixed.bam import BottleneckAttention

from zoo import InvalidValue


def convolve(x: torch.Tensor, conv: torch.nn.Module, dilation: int) -> torch.Tensor:
    """Convolve (C, H, W) with zeros around it, number by number."""
    weight, bias = conv.weight.detach(), conv.bias.detach()
    half = weight.shape[2] // 2
    out = torch.zeros(len(weight), *x.shape[1:], dtype=x.dtype)
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            out[:, row, column] = bias
            for i in range(-half, half + 1):
                for j in range(-half, half + 1):
                    r, c = row + i * dilation, column + j * dilation
                    if 0 <= r < x.shape[1] and 0 <= c < x.shape[2]:
                        tap = weight[:, :, i + half, j + half]
                        out[:, row, column] += torch.einsum("oc,c->o", tap, x[:, r, c])
    return out


def normalize(x: torch.Tensor, norm: torch.nn.Module) -> torch.Tensor:
    """Apply a batch norm in eval mode to (C, ...)."""
    out = torch.empty_like(x)
    for c in range(len(x)):
        scale = norm.weight[c].item() / math.sqrt(norm.running_var[c].item() + norm.eps)
        out[c] = (x[c] - norm.running_mean[c].item()) * scale + norm.bias[c].item()
    return out


def by_the_paper(x: torch.Tensor, module: BottleneckAttention, dilation: int) -> torch.Tensor:
    """Equations 1 to 4 for (N, C, H, W); the choices of the authors' code where the module has them."""
    inner = module.use_inner_norms
    y = torch.empty_like(x)
    for n in range(len(x)):
        h = x[n].sum((1, 2)) / (x.shape[2] * x.shape[3])
        h = module.dense[0].weight.detach() @ h + module.dense[0].bias.detach()
        h = normalize(h, module.dense_norms[0]) if inner else h
        c = module.dense[1].weight.detach() @ h.clamp(min=0) + module.dense[1].bias.detach()
        c = c if inner else normalize(c, module.dense_norms[0])
        h = x[n]
        for i in range(3):
            h = convolve(h, module.convs[i], dilation if i else 1)
            h = (normalize(h, module.conv_norms[i]) if inner else h).clamp(min=0)
        s = convolve(h, module.convs[3], 1)
        s = s if inner else normalize(s, module.conv_norms[0])
        logit = c[:, None, None] + s if module.combine == "add" else c[:, None, None] * s
        y[n] = x[n] * (1 + 1 / (1 + torch.exp(-logit)))
    return y


def randomize(module: torch.nn.Module) -> torch.nn.Module:
    """Return the module in float64 with random norms."""
    for name, value in module.state_dict().items():
        if "norms" in name and value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5)
    return module.double()


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = BottleneckAttention(4, min_hidden=2, dilation=1)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module, 1)


@pytest.mark.parametrize("combine", ["add", "multiply"])
@pytest.mark.parametrize("use_inner_norms", [False, True])
@pytest.mark.parametrize("dilation", [1, 4])
def test_follows_the_formula(combine: str, use_inner_norms: bool, dilation: int) -> None:
    """The output is that of the paper's equations, or of the authors' variants of them."""
    torch.manual_seed(0)
    module = BottleneckAttention(
        4, min_hidden=2, dilation=dilation, combine=combine, use_inner_norms=use_inner_norms
    )
    randomize(module).eval()
    x = torch.randn(2, 4, 6, 5, dtype=torch.float64)
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module, dilation))


def test_one_dimension_is_a_map_of_one_row() -> None:
    """On (N, C, L) it does what it does on (N, C, 1, L) with the middle rows of its kernels."""
    torch.manual_seed(0)
    line, plane = BottleneckAttention(8, ndim=1).double(), BottleneckAttention(8).double()
    for name, value in line.state_dict().items():
        target = plane.state_dict()[name]
        (target[:, :, target.shape[2] // 2] if target.ndim == 4 else target).copy_(value)
    x = torch.randn(2, 8, 9, dtype=torch.float64)
    torch.testing.assert_close(line(x), plane(x.unsqueeze(2)).squeeze(2))


@pytest.mark.parametrize("use_inner_norms", [False, True])
def test_gradient_is_that_of_differences(use_inner_norms: bool) -> None:
    """In training, gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    module = BottleneckAttention(
        3, ndim=1, min_hidden=2, dilation=1, use_inner_norms=use_inner_norms
    )
    module.double()
    x = torch.randn(3, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True] * 4, [True, True, False, False], [True, True, True, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_trains_on_one_sample() -> None:
    """One sample has no variance over the batch, which the norm of the means does not mind."""
    module = BottleneckAttention(8).train()
    before = module.dense_norms[0].running_mean.clone()
    assert module(torch.randn(1, 8, 4, 4)).isfinite().all()
    assert torch.equal(module.dense_norms[0].running_mean, before)
    module(torch.randn(2, 8, 4, 4))
    assert not torch.equal(module.dense_norms[0].running_mean, before)


def test_padding_teaches_the_norms_nothing() -> None:
    """In training, padding and empty samples change neither output nor running statistics."""
    torch.manual_seed(0)
    module = BottleneckAttention(8, ndim=1, use_inner_norms=True).train()
    other = BottleneckAttention(8, ndim=1, use_inner_norms=True).train()
    other.load_state_dict(module.state_dict())
    x = torch.randn(2, 8, 5)
    padded = torch.full((3, 8, 9), 9.0)
    padded[:2, :, :5] = x
    mask = torch.zeros(3, 9, dtype=torch.bool)
    mask[:2, :5] = True
    torch.testing.assert_close(other(padded, mask)[:2, :, :5], module(x))
    torch.testing.assert_close(other.state_dict(), module.state_dict())


def test_attention_map_is_the_mean_gate() -> None:
    """The maps are the means of y / x - 1."""
    module = BottleneckAttention(8).eval()
    x = torch.rand(2, 8, 4, 3) + 0.5
    gate = module(x) / x - 1
    found = module.attention_map(x)
    torch.testing.assert_close(found.channel, gate.mean((2, 3)))
    torch.testing.assert_close(found.spatial, gate.mean(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction is 0, but must be a whole number of at least 1"),
        ({"min_hidden": 1.5}, "min_hidden is 1.5, but must be a whole number"),
        ({"dilation": 0}, "dilation is 0, but must be a whole number"),
        ({"combine": "sum"}, "combine is 'sum', but must be one of 'add', 'multiply'"),
        ({"use_inner_norms": 1}, "use_inner_norms is 1, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"BottleneckAttention: {message}"):
        BottleneckAttention(64, **options)  # type: ignore[arg-type]  # what is tested

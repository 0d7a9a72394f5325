"""GlobalAttentionMechanism against its formula in loops."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from zoo_attention.mixed.gam import GlobalAttentionMechanism

from zoo import InvalidValue


def convolve(x: torch.Tensor, conv: nn.Conv2d) -> torch.Tensor:
    """Convolve (C, H, W) with zeros around it, tap by tap."""
    weight, half = conv.weight.detach(), conv.weight.shape[2] // 2
    out = conv.bias.detach()[:, None, None].repeat(1, *x.shape[1:])
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            for i in range(-half, half + 1):
                for j in range(-half, half + 1):
                    r, c = row + i, column + j
                    if 0 <= r < x.shape[1] and 0 <= c < x.shape[2]:
                        out[:, row, column] += weight[:, :, i + half, j + half] @ x[:, r, c]
    return out


def normalize(x: torch.Tensor, norm: nn.BatchNorm2d) -> torch.Tensor:
    """Apply a batch norm in eval mode to (C, H, W)."""
    scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
    return torch.stack(
        [(v - m) * s + b for v, m, s, b in zip(x, norm.running_mean, scale, norm.bias, strict=True)]
    ).detach()


def by_the_paper(x: torch.Tensor, module: GlobalAttentionMechanism) -> torch.Tensor:
    """Both gates for (N, C, H, W): a small network at each position, then two convolutions."""
    y = torch.empty_like(x)
    first, second = (m.weight.detach()[..., 0, 0] for m in (module.reduce, module.expand))
    for n in range(len(x)):
        u = x[n].clone()
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                hidden = (first @ x[n, :, i, j] + module.reduce.bias.detach()).clamp(min=0)
                gate = second @ hidden + module.expand.bias.detach()
                u[:, i, j] *= 1 / (1 + torch.exp(-gate)) if module.use_channel_sigmoid else gate
        hidden = convolve(u, module.reduce_wide)
        hidden = (normalize(hidden, module.norms[0]) if len(module.norms) else hidden).clamp(min=0)
        logits = convolve(hidden, module.expand_wide)
        logits = normalize(logits, module.norms[1]) if len(module.norms) else logits
        y[n] = u / (1 + torch.exp(-logits))
    return y


def build(channels: int, **options: object) -> GlobalAttentionMechanism:
    """Return the module in float64 with random norms."""
    torch.manual_seed(0)
    module = GlobalAttentionMechanism(channels, **options)
    for name, value in module.state_dict().items():
        if "norms" in name and value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5)
    return module.double()


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = GlobalAttentionMechanism(4, reduction=1, kernel_size=3)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_channel_sigmoid": False},
        {"use_batch_norm": True},
        {"kernel_size": 3, "reduction": 2},
    ],
)
def test_follows_the_formula(options: dict[str, object]) -> None:
    """The output is that of the paper's equations, or of the code in circulation."""
    module = build(8, **options).eval()
    x = torch.randn(2, 8, 4, 5, dtype=torch.float64) * 2
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


def test_one_dimension_is_a_map_of_one_row() -> None:
    """On (N, C, L) it does what it does on (N, C, 1, L) with the middle rows of its kernels."""
    line, plane = build(8, ndim=1), build(8)
    for name, value in line.state_dict().items():
        target = plane.state_dict()[name]
        (target[:, :, target.shape[2] // 2] if target.ndim == 4 else target).copy_(value)
    x = torch.randn(2, 8, 9, dtype=torch.float64)
    torch.testing.assert_close(line(x), plane(x.unsqueeze(2)).squeeze(2))


@pytest.mark.parametrize("use_batch_norm", [False, True])
def test_gradient_is_that_of_differences(use_batch_norm: bool) -> None:
    """In training, gradients agree with finite differences, with a mask as well."""
    module = build(4, ndim=1, reduction=2, kernel_size=3, use_batch_norm=use_batch_norm)
    x = torch.randn(2, 4, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_padding_teaches_the_norms_nothing() -> None:
    """In training, padding changes neither output nor running statistics."""
    module, other = build(8, ndim=1, use_batch_norm=True), build(8, ndim=1, use_batch_norm=True)
    x = torch.randn(2, 8, 5, dtype=torch.float64)
    padded = torch.cat([x, torch.full((2, 8, 4), 9.0, dtype=torch.float64)], 2)
    mask = (torch.arange(9) < 5).expand(2, 9)
    torch.testing.assert_close(other(padded, mask)[..., :5], module(x))
    torch.testing.assert_close(other.state_dict(), module.state_dict())
    with pytest.raises(InvalidValue, match="number of positions in the batch is 1, but must be at"):
        module(x[:1, :, :1])


def test_attention_map_is_the_mean_gate() -> None:
    """The maps are the means of what the input is multiplied by."""
    module = build(8)
    x = torch.rand(2, 8, 4, 3, dtype=torch.float64) + 0.5
    found, gate = module.attention_map(x), module(x) / x
    torch.testing.assert_close(found.channel, gate.mean((2, 3)))
    torch.testing.assert_close(found.spatial, gate.mean(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction is 0, but must be a whole number of at least 1"),
        ({"kernel_size": 4}, "kernel_size is 4, but must be an odd whole number"),
        ({"use_channel_sigmoid": 1}, "use_channel_sigmoid is 1, but must be True or False"),
        ({"use_batch_norm": "yes"}, "use_batch_norm is 'yes', but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"GlobalAttentionMechanism: {message}"):
        GlobalAttentionMechanism(64, **options)  # type: ignore[arg-type]  # what is tested

"""OutlookAttention against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.self_attention.outlook import OutlookAttention

from zoo import InvalidValue


def liven(module: nn.Module) -> nn.Module:
    """Give every parameter a random value, in float64."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def by_the_paper(x: torch.Tensor, module: OutlookAttention) -> tuple[torch.Tensor, torch.Tensor]:
    """Equations 3 to 5 for x (N, C, H, W), place by place: the output, and how much each is read."""
    samples, channels, height, width = x.shape
    heads, size = module.num_heads, module.kernel[1]
    depth = channels // heads
    window = [(r, c) for r in range(size) for c in range(size)]
    v = torch.einsum("dc,nchw->nhwd", module.value.weight, x)
    out = torch.zeros_like(x)
    received = torch.zeros(samples, height, width, dtype=x.dtype)
    for n in range(samples):
        for row in range(height):
            for column in range(width):
                scores = module.weigh.weight @ x[n, :, row, column] + module.weigh.bias
                scores = scores.unflatten(0, (heads, len(window), len(window))) / math.sqrt(depth)
                near = [(row + r - size // 2, column + c - size // 2) for r, c in window]
                inside = [0 <= r < height and 0 <= c < width for r, c in near]
                for head in range(heads):
                    part = slice(head * depth, (head + 1) * depth)
                    for a, to in enumerate(near):
                        weights = scores[head, a].exp() / scores[head, a].exp().sum()
                        for b, source in enumerate(near):
                            if inside[a] and inside[b]:
                                out[(n, part, *to)] += weights[b] * v[(n, *source)][part]
                                received[(n, *source)] += weights[b].item()
    merged = torch.einsum("dc,nchw->ndhw", module.merge.weight, out)
    merged = merged + module.merge.bias[:, None, None]
    received = received / received.sum((1, 2), keepdim=True)
    return (x + merged if module.use_residual else merged).detach(), received


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = OutlookAttention(4, num_heads=2)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)[0]


@pytest.mark.parametrize("use_residual", [False, True])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_follows_the_formula(kernel_size: int, use_residual: bool) -> None:
    """The output and the map are those of the paper's equations."""
    module = liven(
        OutlookAttention(4, num_heads=2, kernel_size=kernel_size, use_residual=use_residual)
    )
    x = torch.randn(1, 4, 3, 2, dtype=torch.float64)
    expected, received = by_the_paper(x, module)
    torch.testing.assert_close(module(x).detach(), expected)
    torch.testing.assert_close(module.attention_map(x).spatial.detach(), received)


def test_one_dimension_follows_the_formula() -> None:
    """On a line, the neighbourhood is a piece of the line."""
    module = liven(OutlookAttention(2, ndim=1, num_heads=1, use_residual=False))
    x = torch.randn(1, 2, 4, dtype=torch.float64)
    v = module.value.weight @ x[0]
    out = torch.zeros(2, 4, dtype=torch.float64)
    for i in range(4):
        scores = (module.weigh.weight @ x[0, :, i] + module.weigh.bias).reshape(3, 3)
        weights = (scores / math.sqrt(2)).softmax(1)
        for a in range(3):
            for b in range(3):
                if 0 <= i + a - 1 < 4 and 0 <= i + b - 1 < 4:
                    out[:, i + a - 1] += weights[a, b] * v[:, i + b - 1]
    expected = module.merge.weight @ out + module.merge.bias.unsqueeze(1)
    torch.testing.assert_close(module(x)[0], expected)


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = liven(OutlookAttention(2, num_heads=1))
    x = torch.randn(1, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[[True, True], [True, False]]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_equals_timm() -> None:
    """With the same weights it gives the numbers of timm's."""
    timm = pytest.importorskip("timm.models.volo")
    theirs = timm.OutlookAttention(16, num_heads=2)
    ours = OutlookAttention(16, num_heads=2, use_residual=False)
    state = {"value.weight": theirs.v.weight}
    for name, layer in (("weigh", theirs.attn), ("merge", theirs.proj)):
        state |= {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}
    ours.load_state_dict(state)
    x = torch.randn(2, 16, 3, 5)
    expected = theirs(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(ours(x), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 0}, "num_heads is 0, but must be a whole number of at least 1"),
        ({"num_heads": 3}, "channels is 16, no multiple of num_heads 3"),
        ({"kernel_size": 2}, "kernel_size is 2, but must be an odd whole number"),
        ({"use_residual": 1}, "use_residual is 1, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"OutlookAttention: {message}"):
        OutlookAttention(16, **options)  # type: ignore[arg-type]  # what is tested

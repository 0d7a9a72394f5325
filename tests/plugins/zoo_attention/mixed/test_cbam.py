"""ConvBlockAttention against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.mixed.cbam import ConvBlockAttention

from zoo import InvalidValue


def sigmoid(value: float) -> float:
    """Return the logistic function of a number."""
    return 1 / (1 + math.exp(-value))


def by_the_paper(x: torch.Tensor, module: ConvBlockAttention) -> torch.Tensor:
    """Equations 1 to 3 of the paper, for (N, C, H, W), number by number."""
    first, second = module.reduce.weight.detach(), module.expand.weight.detach()
    kernel = module.conv.weight.detach()[0]  # (2, k, k), of the mean and of the maximum
    samples, channels, height, width = x.shape
    half = kernel.shape[1] // 2
    y = torch.empty_like(x)
    for n in range(samples):
        logits = torch.zeros(channels, dtype=x.dtype)
        means = torch.stack([x[n, c].sum() / (height * width) for c in range(channels)])
        maxima = torch.stack([x[n, c].flatten().sort().values[-1] for c in range(channels)])
        for pooled in (means, maxima):
            hidden = torch.einsum("hc,c->h", first, pooled)
            hidden = torch.where(hidden > 0, hidden, 0)
            logits += torch.einsum("ch,h->c", second, hidden)
        u = torch.stack([x[n, c] * sigmoid(logits[c].item()) for c in range(channels)])
        for row in range(height):
            for column in range(width):
                logit = 0.0
                for i in range(-half, half + 1):
                    for j in range(-half, half + 1):
                        if 0 <= row + i < height and 0 <= column + j < width:
                            at = u[:, row + i, column + j]
                            logit += (kernel[0, i + half, j + half] * at.sum() / channels).item()
                            logit += (kernel[1, i + half, j + half] * max(at.tolist())).item()
                y[n, :, row, column] = u[:, row, column] * sigmoid(logit)
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = ConvBlockAttention(4, min_hidden=3, kernel_size=3)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize("kernel_size", [3, 7])
def test_follows_the_formula(kernel_size: int) -> None:
    """The output is that of the paper's equations."""
    torch.manual_seed(0)
    module = ConvBlockAttention(4, min_hidden=3, kernel_size=kernel_size).double()
    x = torch.randn(2, 4, 5, 3, dtype=torch.float64)
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


def test_one_dimension_is_a_map_of_one_row() -> None:
    """On (N, C, L) it does what it does on (N, C, 1, L) with the middle row of its kernel."""
    torch.manual_seed(0)
    line = ConvBlockAttention(8, ndim=1).double()
    plane = ConvBlockAttention(8).double()
    with torch.no_grad():
        plane.reduce.weight.copy_(line.reduce.weight)
        plane.expand.weight.copy_(line.expand.weight)
        plane.conv.weight[:, :, 3] = line.conv.weight
    x = torch.randn(2, 8, 9, dtype=torch.float64)
    torch.testing.assert_close(line(x), plane(x.unsqueeze(2)).squeeze(2))


@pytest.mark.parametrize("use_batch_norm", [False, True])
def test_gradient_is_that_of_differences(use_batch_norm: bool) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    module = ConvBlockAttention(3, ndim=1, use_bias=True, use_batch_norm=use_batch_norm).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("use_bias", [False, True])
def test_equals_timm(use_bias: bool, is_training: bool) -> None:
    """With the same weights the variant with a batch norm gives the numbers of timm's CbamModule."""
    cbam = pytest.importorskip("timm.layers.cbam")
    theirs = cbam.CbamModule(64, mlp_bias=use_bias).train(is_training)
    ours = ConvBlockAttention(64, min_hidden=1, use_bias=use_bias, use_batch_norm=True)
    channel, spatial = theirs.channel, theirs.spatial
    state = {
        "reduce.weight": channel.fc1.weight[..., 0, 0],
        "expand.weight": channel.fc2.weight[..., 0, 0],
        "conv.weight": spatial.conv.conv.weight,
    }
    if use_bias:
        state |= {"reduce.bias": channel.fc1.bias, "expand.bias": channel.fc2.bias}
    state |= {f"norm.{name}": value for name, value in spatial.conv.bn.state_dict().items()}
    ours.train(is_training).load_state_dict(state)
    x = torch.randn(2, 64, 6, 5)
    torch.testing.assert_close(ours(x), theirs(x))


def test_batch_norm_learns_from_real_positions_only() -> None:
    """In training, padding changes neither the output nor the running statistics."""
    torch.manual_seed(0)
    module = ConvBlockAttention(8, ndim=1, use_batch_norm=True).train()
    other = ConvBlockAttention(8, ndim=1, use_batch_norm=True).train()
    other.load_state_dict(module.state_dict())
    x = torch.randn(2, 8, 5)
    padded = torch.cat([x, torch.full((2, 8, 4), 9.0)], 2)
    mask = (torch.arange(9) < 5).expand(2, 9)
    torch.testing.assert_close(other(padded, mask)[..., :5], module(x))
    torch.testing.assert_close(other.norm.state_dict(), module.norm.state_dict())
    assert module.norm.num_batches_tracked == 1
    assert module.norm.running_mean.abs() > 0


def test_batch_norm_refuses_one_position_in_training() -> None:
    """One position has no variance to learn; in eval mode it is welcome."""
    module = ConvBlockAttention(8, use_batch_norm=True)
    x = torch.randn(1, 8, 1, 1)
    with pytest.raises(InvalidValue, match="number of positions in the batch is 1, but must be at"):
        module(x)
    assert module.eval()(x).isfinite().all()


def test_attention_map_is_both_gates() -> None:
    """The output is the input times the weight of its channel and of its position."""
    module = ConvBlockAttention(8)
    x = torch.randn(2, 8, 4, 3)
    found = module.attention_map(x)
    expected = x * found.channel[..., None, None] * found.spatial.unsqueeze(1)
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction is 0, but must be a whole number of at least 1"),
        ({"min_hidden": 1.5}, "min_hidden is 1.5, but must be a whole number"),
        ({"kernel_size": 4}, "kernel_size is 4, but must be an odd whole number"),
        ({"use_bias": None}, "use_bias is None, but must be True or False"),
        ({"use_batch_norm": "yes"}, "use_batch_norm is 'yes', but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"ConvBlockAttention: {message}"):
        ConvBlockAttention(64, **options)  # type: ignore[arg-type]  # what is tested

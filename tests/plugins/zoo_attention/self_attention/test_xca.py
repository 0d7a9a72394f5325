"""CrossCovarianceAttention against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.self_attention.xca import CrossCovarianceAttention

from zoo import InvalidValue


def liven(module: nn.Module) -> nn.Module:
    """Give every parameter a random value, in float64."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def by_the_paper(
    x: torch.Tensor, module: CrossCovarianceAttention
) -> tuple[torch.Tensor, torch.Tensor]:
    """Section 3.2 for x (N, C, L): the output, and how much each channel is read."""
    samples, channels, _ = x.shape
    width = channels // module.num_heads
    out = torch.empty_like(x)
    read = torch.zeros(samples, channels, dtype=x.dtype)
    for n in range(samples):
        q, k, v = (module.project.weight.detach() @ x[n]).split(channels)  # (C, L)
        for head in range(module.num_heads):
            tau = module.temperature[head].item()
            group = range(head * width, (head + 1) * width)
            for i in group:
                scores = []
                for j in group:
                    lengths = math.sqrt(sum(q[i] ** 2)) * math.sqrt(sum(k[j] ** 2))
                    scores.append(math.exp(tau * sum(q[i] * k[j]).item() / lengths))
                weights = [score / sum(scores) for score in scores]
                out[n, i] = sum(w * v[j] for w, j in zip(weights, group, strict=True))
                for w, j in zip(weights, group, strict=True):
                    read[n, j] += w / channels
    merged = torch.einsum("dc,ncl->ndl", module.merge.weight.detach(), out)
    return (x + merged if module.use_residual else merged), read


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = CrossCovarianceAttention(4, num_heads=2)
    return module, (4, 3, 2), lambda x: by_the_paper(x.flatten(2), module)[0].reshape(x.shape)


@pytest.mark.parametrize("use_residual", [False, True])
def test_follows_the_formula(use_residual: bool) -> None:
    """The output and the map are those of the paper's equations."""
    module = liven(CrossCovarianceAttention(6, num_heads=2, use_residual=use_residual))
    x = torch.randn(2, 6, 3, 2, dtype=torch.float64)
    expected, read = by_the_paper(x.flatten(2), module)
    torch.testing.assert_close(module(x).detach(), expected.reshape(x.shape))
    torch.testing.assert_close(module.attention_map(x).channel.detach(), read)


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = liven(CrossCovarianceAttention(4, ndim=1, num_heads=2, use_bias=True))
    x = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_equals_timm() -> None:
    """With the same weights it gives the numbers of timm's XCA."""
    timm = pytest.importorskip("timm.models.xcit")
    theirs = timm.XCA(32, num_heads=4, qkv_bias=True)
    nn.init.uniform_(theirs.temperature, 0.5, 2.0)
    ours = CrossCovarianceAttention(32, num_heads=4, use_bias=True, use_residual=False)
    ours.project.load_state_dict(theirs.qkv.state_dict())
    ours.merge.load_state_dict(theirs.proj.state_dict())
    ours.temperature.data.copy_(theirs.temperature)
    x = torch.randn(2, 32, 3, 5)
    expected = theirs(x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(ours(x), expected)
    assert ours.no_weight_decay() == theirs.no_weight_decay()


def test_biases_of_padding_do_not_count() -> None:
    """With biases, too, lengths and products are over real positions only."""
    module = liven(CrossCovarianceAttention(8, ndim=1, use_bias=True))
    x = torch.randn(2, 8, 6, dtype=torch.float64)
    mask = (torch.arange(6) < 4).expand(2, 6)
    torch.testing.assert_close(module(x, mask)[..., :4], module(x[..., :4]))


def test_channels_must_split_into_heads() -> None:
    """The message says which numbers of heads fit."""
    message = r"channels is 12, no multiple of num_heads 8\. Choose num_heads from 1, 2, 3, 4, 6"
    with pytest.raises(InvalidValue, match=f"CrossCovarianceAttention: {message}"):
        CrossCovarianceAttention(12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 0}, "num_heads is 0, but must be a whole number of at least 1"),
        ({"use_residual": 1}, "use_residual is 1, but must be True or False"),
        ({"use_bias": None}, "use_bias is None, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"CrossCovarianceAttention: {message}"):
        CrossCovarianceAttention(16, **options)  # type: ignore[arg-type]  # what is tested


def test_float16_is_no_nan() -> None:
    """Neither a map of zeros nor a sample without real positions is divided by a 0."""
    module = CrossCovarianceAttention(8).half()
    mask = torch.tensor([[True] * 6, [False] * 6])
    for start, real in ((torch.zeros(2, 8, 2, 3), None), (torch.randn(2, 8, 2, 3), mask)):
        x = start.half().requires_grad_()
        y = module(x, None if real is None else real.reshape(2, 2, 3))
        y.sum().backward()
        assert y.isfinite().all()
        for value in (x, *module.parameters()):
            assert value.grad.isfinite().all()

"""ConcurrentSqueezeExcite against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.mixed.scse import ConcurrentSqueezeExcite

from zoo import InvalidValue


def sigmoid(value: float) -> float:
    """Return the logistic function of a number."""
    return 1 / (1 + math.exp(-value))


def by_the_paper(x: torch.Tensor, module: ConcurrentSqueezeExcite) -> torch.Tensor:
    """Sections 2.1 to 2.3 for (N, C, H, W), number by number; `max` as the authors' code."""
    state = {name: value.tolist() for name, value in module.state_dict().items()}
    samples, channels, height, width = x.shape
    inner = state.get("reduce.bias", [0.0] * channels)
    outer = state.get("expand.bias", [0.0] * channels)
    y = torch.empty_like(x)
    for n in range(samples):
        z = [x[n, c].sum().item() / (height * width) for c in range(channels)]
        hidden = [
            max(0.0, sum(w * v for w, v in zip(row, z, strict=True)) + inner[i])
            for i, row in enumerate(state["reduce.weight"])
        ]
        for c in range(channels):
            row = state["expand.weight"][c]
            a = sigmoid(sum(w * v for w, v in zip(row, hidden, strict=True)) + outer[c])
            for i in range(height):
                for j in range(width):
                    logit = state.get("conv.bias", [0.0])[0]
                    for k in range(channels):
                        logit += state["conv.weight"][0][k][0][0] * x[n, k, i, j].item()
                    value = x[n, c, i, j].item()
                    pair = (a * value, sigmoid(logit) * value)
                    y[n, c, i, j] = sum(pair) if module.combine == "add" else max(pair)
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = ConcurrentSqueezeExcite(4)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize("combine", ["add", "max"])
@pytest.mark.parametrize("use_bias", [False, True])
def test_follows_the_formula(combine: str, use_bias: bool) -> None:
    """The output is that of the paper's equations, or of the authors' variants of them."""
    torch.manual_seed(0)
    module = ConcurrentSqueezeExcite(6, combine=combine, use_bias=use_bias).double()
    x = torch.randn(2, 6, 3, 2, dtype=torch.float64)
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


@pytest.mark.parametrize("combine", ["add", "max"])
def test_gradient_is_that_of_differences(combine: str) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    module = ConcurrentSqueezeExcite(3, ndim=1, combine=combine, use_bias=True).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


@pytest.mark.parametrize(("channels", "reduction", "width"), [(64, 2, 32), (64, 16, 4), (3, 8, 1)])
def test_hidden_width_is_the_papers(channels: int, reduction: int, width: int) -> None:
    """The hidden layer is C // reduction wide, and there always is one."""
    module = ConcurrentSqueezeExcite(channels, reduction=reduction)
    assert module.reduce.out_features == width


def test_attention_map_is_both_gates() -> None:
    """The output is the input times the sum of the two maps."""
    module = ConcurrentSqueezeExcite(8)
    x = torch.randn(2, 8, 4, 3)
    found = module.attention_map(x)
    expected = x * (found.channel[..., None, None] + found.spatial.unsqueeze(1))
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction is 0, but must be a whole number of at least 1"),
        ({"combine": "mul"}, "combine is 'mul', but must be one of 'add', 'max'"),
        ({"use_bias": 1}, "use_bias is 1, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"ConcurrentSqueezeExcite: {message}"):
        ConcurrentSqueezeExcite(64, **options)  # type: ignore[arg-type]  # what is tested

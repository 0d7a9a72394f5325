"""ParallelPolarizedAttention against its formula in einsum."""

from __future__ import annotations

import pytest
import torch
from zoo_attention.mixed.polarized_parallel import ParallelPolarizedAttention

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, module: ParallelPolarizedAttention) -> torch.Tensor:
    """In parallel: each gate is of x, and both products are added."""
    channel, spatial = module.channel_gate, module.spatial_gate
    weights = torch.einsum("oc,nchw->nohw", channel.query.weight, x).exp()
    weights = weights / weights.sum((2, 3), keepdim=True)
    value = torch.einsum("ic,nchw->nihw", channel.value.weight, x)
    summary = torch.einsum("nihw,nohw->ni", value, weights)
    logits = torch.einsum("ci,ni->nc", channel.expand[0].weight, summary)
    a = (1 / (1 + torch.exp(-logits)))[..., None, None]
    query = torch.einsum("ic,nchw->nihw", spatial.query.weight, x).mean((2, 3)).exp()
    query = query / query.sum(1, keepdim=True)
    value = torch.einsum("ic,nchw->nihw", spatial.value.weight, x)
    b = 1 / (1 + torch.exp(-torch.einsum("ni,nihw->nhw", query, value)))[:, None]
    return x * a + x * b


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = ParallelPolarizedAttention(4)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


def test_follows_the_formula() -> None:
    """The output is that of the paper's equations."""
    torch.manual_seed(0)
    module = ParallelPolarizedAttention(6).double()
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64) * 2
    torch.testing.assert_close(module(x), by_the_paper(x, module))


@pytest.mark.parametrize("options", [{}, {"softmax_of": "product"}])
def test_gradient_is_that_of_differences(options: dict[str, str]) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    module = ParallelPolarizedAttention(4, ndim=1, **options).double()
    x = torch.randn(2, 4, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_options_choose_the_gates() -> None:
    """Each option changes the function."""
    x = torch.randn(2, 16, 3, 3)
    outputs = []
    for options in (
        {},
        {"expansion": "norm"},
        {"expansion": "bottleneck"},
        {"softmax_of": "product"},
        {"softmax_of": "value"},
    ):
        torch.manual_seed(0)
        outputs.append(ParallelPolarizedAttention(16, **options)(x))
    for i, first in enumerate(outputs):
        assert not any(torch.allclose(first, second) for second in outputs[i + 1 :])


def test_attention_map_is_both_gates() -> None:
    """The output is the input times the sum of the two maps."""
    module = ParallelPolarizedAttention(8)
    x = torch.randn(2, 8, 4, 3)
    found = module.attention_map(x)
    expected = x * (found.channel[..., None, None] + found.spatial.unsqueeze(1))
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"expansion": "wide"},
            "expansion is 'wide', but must be one of 'linear', 'norm', 'bottleneck'",
        ),
        (
            {"softmax_of": "key"},
            "softmax_of is 'key', but must be one of 'query', 'product', 'value'",
        ),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"ParallelPolarizedAttention: {message}"):
        ParallelPolarizedAttention(64, **options)  # type: ignore[arg-type]  # what is tested

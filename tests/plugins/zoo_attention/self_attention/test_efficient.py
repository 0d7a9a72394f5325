"""EfficientAttention against its formula in loops."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from zoo_attention.self_attention.efficient import EfficientAttention

from zoo import InvalidValue


def liven(module: nn.Module) -> nn.Module:
    """Give every parameter a random value, in float64."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def weights_by_the_paper(x: torch.Tensor, module: EfficientAttention) -> torch.Tensor:
    """How much position i reads position j in each head, (N, heads, L, L): rho_q(Q) rho_k(K)^T."""
    samples, _, length = x.shape
    heads = module.num_heads
    width = module.query.out_features // heads
    weights = torch.empty(samples, heads, length, length, dtype=x.dtype)
    for n in range(samples):
        for head in range(heads):
            rows = slice(head * width, (head + 1) * width)
            q, k = (
                (layer.weight[rows] @ x[n] + layer.bias[rows].unsqueeze(1)).detach().exp()
                for layer in (module.query, module.key)
            )  # (d, L)
            for i in range(length):
                for j in range(length):
                    weights[n, head, i, j] = sum(
                        q[d, i] / sum(q[:, i]) * k[d, j] / sum(k[d]) for d in range(width)
                    )
    return weights


def by_the_paper(x: torch.Tensor, module: EfficientAttention) -> torch.Tensor:
    """Return the output of the paper's equations, in the order that is slow."""
    weights = weights_by_the_paper(x.flatten(2), module)
    values = torch.einsum("dc,ncl->nld", module.value.weight, x.flatten(2)) + module.value.bias
    heads = values.unflatten(2, (weights.shape[1], -1))
    read = torch.einsum("nhij,njhd->nihd", weights, heads).flatten(2)
    out = torch.einsum("cd,nid->nci", module.merge.weight, read) + module.merge.bias.unsqueeze(1)
    return x + out.reshape(x.shape)


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = EfficientAttention(4)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize("num_heads", [1, 2])
def test_follows_the_formula(num_heads: int) -> None:
    """The output and the map are those of the paper's equations, in the order that is slow."""
    module = liven(EfficientAttention(8, num_heads=num_heads))
    x = torch.randn(2, 8, 3, 2, dtype=torch.float64)
    torch.testing.assert_close(module(x), by_the_paper(x, module))
    weights = weights_by_the_paper(x.flatten(2), module)
    found = module.attention_map(x).spatial.detach()
    torch.testing.assert_close(found.flatten(1), weights.mean((1, 2)))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = liven(EfficientAttention(4, ndim=1, num_heads=2))
    x = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction is 0, but must be a whole number of at least 1"),
        ({"num_heads": 1.0}, "num_heads is 1.0, but must be a whole number"),
        ({"num_heads": 3}, "channels // reduction is 8, no multiple of num_heads 3. Choose"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"EfficientAttention: {message}"):
        EfficientAttention(16, **options)  # type: ignore[arg-type]  # what is tested

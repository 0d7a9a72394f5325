"""MultiHeadAttentionPool against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_pooling.map import MultiHeadAttentionPool

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, head: MultiHeadAttentionPool) -> torch.Tensor:
    """Read head by head and position by position."""
    channels, heads = x.shape[1], head.num_heads
    d = channels // heads
    samples = []
    for vectors in x.flatten(2).transpose(1, 2):  # (P, C)
        query = head.query.weight @ head.seed[0] + head.query.bias
        read = [head.read.weight @ v + head.read.bias for v in vectors]
        joined = []
        for i in range(heads):
            part = slice(i * d, (i + 1) * d)
            scores = [(query[part] @ r[:channels][part]).item() / math.sqrt(d) for r in read]
            total = sum(math.exp(score) for score in scores)
            weights = [math.exp(score) / total for score in scores]
            joined.append(sum(a * r[channels:][part] for a, r in zip(weights, read, strict=True)))
        y = head.merge.weight @ torch.cat(joined) + head.merge.bias
        if head.mlp is not None:
            norm, first, _, second = head.mlp
            normed = (y - y.mean()) / (y.var(correction=0) + norm.eps).sqrt()
            hidden = first.weight @ (normed * norm.weight + norm.bias) + first.bias
            hidden = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
            y = y + second.weight @ hidden + second.bias
        samples.append(y)
    return torch.stack(samples)


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    head = MultiHeadAttentionPool(4, num_heads=2, mlp_ratio=2.0)
    return head, (4, 3, 2), lambda x: by_the_paper(x, head)


@pytest.mark.parametrize("size", [(3, 2), (5,)])
@pytest.mark.parametrize("options", [{}, {"use_mlp": False}, {"num_heads": 1, "mlp_ratio": 1.5}])
def test_follows_the_formula(size: tuple[int, ...], options: dict[str, float]) -> None:
    """The output is what the seed reads, with and without what follows."""
    torch.manual_seed(0)
    head = MultiHeadAttentionPool(6, ndim=len(size), **({"num_heads": 3} | options))
    head = head.double().requires_grad_(False)
    x = 3 * torch.randn(2, 6, *size, dtype=torch.float64)
    torch.testing.assert_close(head(x), by_the_paper(x, head))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    head = MultiHeadAttentionPool(4, ndim=1, num_heads=2, mlp_ratio=1).double()
    x = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert torch.autograd.gradcheck(head, (x,))
    assert torch.autograd.gradcheck(lambda x: head(x, mask), (x,))


def test_equals_timm() -> None:
    """With the same weights it gives the numbers of timm's AttentionPoolLatent."""
    layers = pytest.importorskip("timm.layers")
    theirs = layers.AttentionPoolLatent(16, num_heads=4, norm_layer=nn.LayerNorm)
    ours = MultiHeadAttentionPool(16, num_heads=4)
    names = {"q.": "query.", "kv.": "read.", "proj.": "merge.", "norm.": "mlp.0."}
    names |= {"mlp.fc1.": "mlp.1.", "mlp.fc2.": "mlp.3."}
    state = {"seed": theirs.latent[0]}
    for name, value in theirs.state_dict().items():
        for old, new in names.items():
            if name.startswith(old):
                state[new + name.removeprefix(old)] = value
    ours.load_state_dict(state)
    x = torch.randn(2, 16, 5, 3)
    torch.testing.assert_close(ours(x), theirs(x.flatten(2).transpose(1, 2)))


def test_refuses_bad_options() -> None:
    """Heads divide the channels; the other options are checked, too."""
    with pytest.raises(
        InvalidValue, match=r"num_heads is 3, .* divisor of channels 8, e\.g\. 1, 2"
    ):
        MultiHeadAttentionPool(8, num_heads=3)
    with pytest.raises(InvalidValue, match="num_heads is 0, but must be a whole number"):
        MultiHeadAttentionPool(8, num_heads=0)
    with pytest.raises(InvalidValue, match="use_mlp is 1, but must be True or False"):
        MultiHeadAttentionPool(8, use_mlp=1)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(InvalidValue, match="mlp_ratio is 0, but must be a finite number above 0"):
        MultiHeadAttentionPool(8, mlp_ratio=0)

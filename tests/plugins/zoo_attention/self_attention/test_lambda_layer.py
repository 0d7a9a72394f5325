"""LambdaLayer against its formula in loops, and against timm's."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from zoo_attention.self_attention.lambda_layer import LambdaLayer

from zoo import InvalidValue


def liven(module: nn.Module) -> nn.Module:
    """Give every parameter and statistic a random value, in float64."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    for buffer in module.buffers():
        if buffer.is_floating_point():
            nn.init.uniform_(buffer, 0.5, 1.5)
    return module.double()


def normalized(x: torch.Tensor, norm: nn.BatchNorm1d) -> torch.Tensor:
    """Return vectors (..., D) as a batch norm in eval mode gives them."""
    return (x - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias


def by_the_paper(x: torch.Tensor, module: LambdaLayer) -> torch.Tensor:
    """Equations 1 and 2 and figure 3 for x (N, C, H, W), a lambda for each position."""
    samples, _, height, width = x.shape
    projected = torch.einsum("dc,nchw->nhwd", module.project.weight, x)
    q, k, v = projected.split(module.widths, -1)
    q, v = normalized(q, module.norm_query), normalized(v, module.norm_value)
    half = module.embedding.shape[2] // 2
    places = [(r, c) for r in range(height) for c in range(width)]
    y = torch.zeros_like(x)
    for n in range(samples):
        keys = torch.stack([k[(n, *m)] for m in places]).exp()
        keys = keys / keys.sum(0)
        for i in places:
            total = 0
            for m, weights in zip(places, keys, strict=True):
                at_m = weights.unflatten(0, (-1, module.depth))  # (k, u)
                value = v[(n, *m)].unflatten(0, (-1, module.depth))  # (v, u)
                offset = (m[0] - i[0] + half, m[1] - i[1] + half)
                if all(0 <= at <= 2 * half for at in offset):
                    at_m = at_m + module.embedding[(..., *offset)]
                total = total + torch.einsum("ku,vu->kv", at_m, value)
            queries = q[(n, *i)].unflatten(0, (module.num_heads, -1))  # (heads, k)
            y[(n, slice(None), *i)] = torch.einsum("kv,hk->hv", total, queries).flatten()
    return y.detach()


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = LambdaLayer(4, num_heads=2, key_width=3, kernel_size=3)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize(
    "options", [{}, {"depth": 2, "kernel_size": 3, "key_width": 3}, {"kernel_size": 1}]
)
def test_follows_the_formula(options: dict[str, int]) -> None:
    """The output is that of the paper's equations."""
    module = liven(LambdaLayer(4, num_heads=2, **options)).eval()
    x = torch.randn(2, 4, 3, 2, dtype=torch.float64)
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module))


def test_one_dimension_is_a_map_of_one_row() -> None:
    """On (N, C, L) it does what it does on (N, C, 1, L) with the middle row of its kernel."""
    line = liven(LambdaLayer(8, ndim=1, kernel_size=3)).eval()
    plane = LambdaLayer(8, kernel_size=3).double().eval()
    state = line.state_dict()
    state["embedding"] = torch.zeros_like(plane.embedding)
    state["embedding"][:, :, 1] = line.embedding.detach()
    plane.load_state_dict(state)
    x = torch.randn(2, 8, 5, dtype=torch.float64)
    torch.testing.assert_close(line(x), plane(x.unsqueeze(2)).squeeze(2))


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = liven(LambdaLayer(2, ndim=1, num_heads=1, key_width=2, kernel_size=3))
    x = torch.randn(2, 2, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    real = mask.unsqueeze(1).expand_as(x)
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask)[real], (x,))


@pytest.mark.parametrize("is_training", [False, True])
def test_equals_timm(is_training: bool) -> None:
    """With the same weights it gives the numbers of timm's, less the bias of its position kernel."""
    timm = pytest.importorskip("timm.layers.lambda_layer")
    theirs = timm.LambdaLayer(32, num_heads=4, dim_head=16, r=5).train(is_training)
    nn.init.zeros_(theirs.conv_lambda.bias)
    ours = LambdaLayer(32, kernel_size=5).train(is_training)
    state = {"project.weight": theirs.qkv.weight[..., 0, 0]}
    state["embedding"] = theirs.conv_lambda.weight[..., 0]
    for name, norm in (("norm_query", theirs.norm_q), ("norm_value", theirs.norm_v)):
        state |= {f"{name}.{key}": value for key, value in norm.state_dict().items()}
    ours.load_state_dict(state)
    x = torch.randn(2, 32, 6, 5)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)


def test_starts_with_outputs_as_large_as_inputs() -> None:
    """At the start the output of normal input has about unit variance, not many times that."""
    torch.manual_seed(0)
    y = LambdaLayer(32).train()(torch.randn(2, 32, 12, 12))
    assert 0.5 < y.std().item() < 1.5


def test_batch_norm_refuses_one_position_in_training() -> None:
    """One position has no variance to learn; in eval mode it is welcome."""
    x = torch.randn(1, 8, 1, 1)
    with pytest.raises(InvalidValue, match="number of positions in the batch is 1, but must be at"):
        LambdaLayer(8)(x)
    assert LambdaLayer(8).eval()(x).isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 0}, "num_heads is 0, but must be a whole number of at least 1"),
        ({"num_heads": 3}, "channels is 16, no multiple of num_heads 3"),
        ({"key_width": 0}, "key_width is 0, but must be a whole number of at least 1"),
        ({"depth": 1.0}, "depth is 1.0, but must be a whole number"),
        ({"kernel_size": 4}, "kernel_size is 4, but must be an odd whole number"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"LambdaLayer: {message}"):
        LambdaLayer(16, **options)  # type: ignore[arg-type]  # what is tested

"""NonLocal against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.self_attention.non_local import NonLocal

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


def affine(layer: nn.Linear, at: torch.Tensor) -> torch.Tensor:
    """Return W at + b."""
    return torch.einsum("dc,c->d", layer.weight.detach(), at) + layer.bias.detach()


def by_the_paper(
    x: torch.Tensor, module: NonLocal, windows: list[list[int]] | None = None
) -> torch.Tensor:
    """Equations 1 to 6 for x (N, C, L), with the pooling of section 3.3 over `windows` of positions."""
    samples, _, length = x.shape
    windows = windows or [[j] for j in range(length)]
    z = torch.empty_like(x)
    for n in range(samples):
        phi = [torch.stack([affine(module.phi, x[n, :, j]) for j in w]).amax(0) for w in windows]
        g = [torch.stack([affine(module.g, x[n, :, j]) for j in w]).amax(0) for w in windows]
        for i in range(length):
            theta = affine(module.theta, x[n, :, i])
            weights = [math.exp(module.scale * sum(theta * key).item()) for key in phi]
            y = sum(w * value for w, value in zip(weights, g, strict=True)) / sum(weights)
            out = affine(module.merge, y)
            if (norm := module.norm) is not None:
                out = (out - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
                out = out * norm.weight.detach() + norm.bias.detach()
            z[n, :, i] = x[n, :, i] + out
    return z


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = NonLocal(4)
    return module, (4, 3, 2), lambda x: by_the_paper(x.flatten(2), module).reshape(x.shape)


@pytest.mark.parametrize("use_scale", [False, True])
@pytest.mark.parametrize("use_batch_norm", [False, True])
def test_follows_the_formula(use_scale: bool, use_batch_norm: bool) -> None:
    """The output is that of the paper's equations."""
    module = liven(NonLocal(6, use_scale=use_scale, use_batch_norm=use_batch_norm)).eval()
    x = torch.randn(2, 6, 3, 2, dtype=torch.float64)
    expected = by_the_paper(x.flatten(2), module).reshape(x.shape)
    torch.testing.assert_close(module(x).detach(), expected)


def test_subsampling_follows_the_formula() -> None:
    """With subsampling, maxima over windows of two by two are read, and of what is left at the edge."""
    module = liven(NonLocal(6, use_subsampling=True)).eval()
    x = torch.randn(2, 6, 3, 2, dtype=torch.float64)
    expected = by_the_paper(x.flatten(2), module, [[0, 1, 2, 3], [4, 5]]).reshape(x.shape)
    torch.testing.assert_close(module(x).detach(), expected)


@pytest.mark.parametrize("use_batch_norm", [False, True])
def test_starts_as_identity(use_batch_norm: bool) -> None:
    """The block put into a trained network leaves it as it was."""
    x = torch.randn(2, 8, 3, 4)
    assert torch.equal(NonLocal(8, use_batch_norm=use_batch_norm)(x), x)


@pytest.mark.parametrize("use_subsampling", [False, True])
def test_gradient_is_that_of_differences(use_subsampling: bool) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = liven(NonLocal(4, ndim=1, use_subsampling=use_subsampling))
    x = torch.randn(2, 4, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, True], [True, True, True, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask)[mask.unsqueeze(1).expand_as(x)], (x,))


@pytest.mark.parametrize("is_training", [False, True])
def test_equals_timm(is_training: bool) -> None:
    """With the same weights it gives the numbers of timm's, less timm's scale and at our width."""
    timm = pytest.importorskip("timm.layers.non_local_attn")
    theirs = timm.NonLocalAttn(16, use_scale=False, rd_channels=8)
    nn.init.normal_(theirs.norm.weight)
    ours = NonLocal(16)
    names = {"t": "theta", "p": "phi", "g": "g", "z": "merge", "norm": "norm"}
    state = theirs.state_dict()
    ours.load_state_dict(
        {
            key.replace(key.split(".")[0], names[key.split(".")[0]], 1): value.flatten(1)
            if value.ndim == 4
            else value
            for key, value in state.items()
        }
    )
    x = torch.randn(2, 16, 4, 3)
    expected = theirs.train(is_training)(x)
    torch.testing.assert_close(ours.train(is_training)(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("use_subsampling", [False, True])
def test_padding_is_not_read(use_subsampling: bool) -> None:
    """Padding gets no attention; with subsampling the map is as large as without."""
    module = liven(NonLocal(6, use_subsampling=use_subsampling)).eval()
    x = torch.randn(2, 6, 3, 5, dtype=torch.float64)
    mask = (torch.arange(5) < 4).expand(2, 3, 5)
    found = module.attention_map(x, mask).spatial
    torch.testing.assert_close(found[..., :4], module.attention_map(x[..., :4]).spatial)
    assert not found[..., 4].any()
    torch.testing.assert_close(found.sum((1, 2)), torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(module(x, mask)[..., :4], module(x[..., :4]))


@pytest.mark.parametrize("ndim", [1, 2])
def test_subsampling_exports_with_a_dynamic_size(ndim: int) -> None:
    """One exported program serves other sizes, odd ones as well, and their masks."""
    module = liven(NonLocal(8, ndim=ndim, use_subsampling=True)).eval()
    x = torch.randn(3, 8, *(6, 8)[:ndim], dtype=torch.float64)
    axes = dict.fromkeys((0, *range(2, ndim + 2)), torch.export.Dim.DYNAMIC)
    shapes = {"x": axes, "mask": {axis - (axis > 0): dim for axis, dim in axes.items()}}
    program = torch.export.export(module, (x, x[:, 0] > -9), dynamic_shapes=shapes).module()
    x = torch.randn(2, 8, *(9, 5)[:ndim], dtype=torch.float64)
    mask = torch.rand(2, *(9, 5)[:ndim]) < 0.7
    torch.testing.assert_close(program(x, mask), module(x, mask))


def test_batch_norm_refuses_one_position_in_training() -> None:
    """One position has no variance to learn; without the norm, or in eval mode, it is welcome."""
    x = torch.randn(1, 8, 1, 1)
    with pytest.raises(InvalidValue, match="number of positions in the batch is 1, but must be at"):
        NonLocal(8)(x)
    assert NonLocal(8, use_batch_norm=False)(x).isfinite().all()
    assert NonLocal(8).eval()(x).isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "reduction is 0, but must be a whole number of at least 1"),
        ({"use_scale": 1}, "use_scale is 1, but must be True or False"),
        ({"use_subsampling": 2}, "use_subsampling is 2, but must be True or False"),
        ({"use_batch_norm": None}, "use_batch_norm is None, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"NonLocal: {message}"):
        NonLocal(16, **options)  # type: ignore[arg-type]  # what is tested

"""GatherExcite against its formula in loops, and against timm's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from zoo_attention.channel.ge import GatherExcite

from zoo import InvalidValue

MASK = torch.tensor([[True, True, True, False, True], [True, True, False, False, False]])


def window_means(x: torch.Tensor, extent: int) -> torch.Tensor:
    """Return the mean of the window that stands for each position of x (N, C, H, W)."""
    out = torch.empty_like(x)
    height, width = x.shape[2:]
    for row in range(height):
        for column in range(width):
            middle, centre = row // extent * extent, column // extent * extent
            rows = range(max(middle - extent + 1, 0), min(middle + extent, height))
            columns = range(max(centre - extent + 1, 0), min(centre + extent, width))
            values = [x[:, :, i, j] for i in rows for j in columns]
            out[:, :, row, column] = sum(values) / len(values)
    return out


def randomize(module: nn.Module) -> GatherExcite:
    """Return the module in float64 and eval mode with random weights and statistics."""
    torch.manual_seed(0)
    module = module.double().eval()
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                tensor.uniform_(0.2, 1.0)
        for parameter in module.parameters():
            parameter.sub_(0.5)
    return module


def strided(x: torch.Tensor, module: GatherExcite) -> torch.Tensor:
    """Return what the strided convolutions of a module gather, tap by tap."""
    pairs = zip(module.gather.convs, module.gather.norms, strict=True)
    for step, (conv, norm) in enumerate(pairs):
        x = x.clamp(min=0) if step else x
        height, width = x.shape[2:]
        z = x.new_zeros(*x.shape[:2], math.ceil(height / 2), math.ceil(width / 2))
        for row in range(z.shape[2]):
            for column in range(z.shape[3]):
                for i in range(3):
                    for j in range(3):
                        at, to = 2 * row + i - 1, 2 * column + j - 1
                        if 0 <= at < height and 0 <= to < width:
                            z[:, :, row, column] += conv.weight[:, 0, i, j] * x[:, :, at, to]
        values = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        mean, variance, weight, bias = (v[:, None, None] for v in values)
        x = (z - mean) / (variance + norm.eps).sqrt() * weight + bias
    return x.detach()


def excite(z: torch.Tensor, module: GatherExcite) -> torch.Tensor:
    """Return what the two layers of a module make of gathered values."""
    first, second = module.reduce.weight.flatten(1), module.expand.weight.flatten(1)
    hidden = torch.einsum("hc,nc...->nh...", first, z.clamp(min=0)).clamp(min=0)
    return torch.einsum("ch,nh...->nc...", second, hidden).detach()


def by_the_authors(x: torch.Tensor, module: GatherExcite) -> torch.Tensor:
    """Gather by strided convolutions, and excite by two layers where there are any."""
    z = strided(x, module)
    logits = z if module.expand is None else excite(z, module)
    rows, columns = (torch.arange(size) // module.extent for size in x.shape[2:])
    return x * torch.sigmoid(logits[:, :, rows][..., columns])


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = GatherExcite(4, extent=2, parameters="both", min_hidden=3)
    return module, (4, 3, 2), lambda x: by_the_authors(x, module)


@pytest.mark.parametrize("extent", [2, 4])
def test_follows_the_formula_without_parameters(extent: int) -> None:
    """Each value is weighed by the mean of the window that stands for it."""
    x = torch.randn(2, 3, 6, 5, dtype=torch.float64)
    expected = x * torch.sigmoid(window_means(x, extent))
    torch.testing.assert_close(GatherExcite(3, extent=extent)(x), expected)


def test_follows_the_formula_over_the_whole_map() -> None:
    """Without an extent each channel is weighed by its mean."""
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    expected = x * torch.sigmoid(x.sum((2, 3), keepdim=True) / 20)
    torch.testing.assert_close(GatherExcite(3)(x), expected)


@pytest.mark.parametrize("parameters", ["gather", "both"])
@pytest.mark.parametrize("extent", [2, 4])
def test_follows_the_formula_with_parameters(extent: int, parameters: str) -> None:
    """Strided convolutions gather, and two layers excite."""
    module = randomize(GatherExcite(3, extent=extent, parameters=parameters, min_hidden=2))  # type: ignore[arg-type]  # one of three
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(module(x).detach(), by_the_authors(x, module))


@pytest.mark.parametrize("parameters", ["gather", "both"])
def test_a_kernel_may_be_as_large_as_the_map(parameters: str) -> None:
    """At the size of its kernel the whole map's convolution is an inner product."""
    module = randomize(GatherExcite(3, parameters=parameters, kernel_size=4))  # type: ignore[arg-type]  # one of three
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    norm = module.gather.norm
    z = torch.einsum("nchw,chw->nc", x, module.gather.weight[:, 0])
    z = (z - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
    logits = z if parameters == "gather" else excite(z, module)
    torch.testing.assert_close(module(x), x * torch.sigmoid(logits)[..., None, None])


@pytest.mark.parametrize("size", [(1, 1), (3, 9), (16, 8)])
def test_a_kernel_is_stretched_to_the_map(size: tuple[int, int]) -> None:
    """A constant kernel stays constant at any size, and a constant map gives the same gate."""
    module = randomize(GatherExcite(3, parameters="gather", kernel_size=4))
    torch.nn.init.constant_(module.gather.weight, 0.1)
    expected = module.attention_map(torch.ones(1, 3, 4, 4, dtype=torch.float64)).channel
    found = module.attention_map(torch.ones(1, 3, *size, dtype=torch.float64)).channel
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("parameters", ["none", "gather", "both"])
@pytest.mark.parametrize("extent", [2, None])
def test_gradient_is_that_of_differences(parameters: str, extent: int | None) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = randomize(GatherExcite(2, ndim=1, extent=extent, parameters=parameters)).train()  # type: ignore[arg-type]  # one of three
    x = torch.randn(2, 2, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,))
    if parameters == "none" or extent is not None:
        assert torch.autograd.gradcheck(lambda x: module(x, MASK), (x,))


@pytest.mark.parametrize("parameters", ["none", "gather", "both"])
@pytest.mark.parametrize("extent", [2, 8])
def test_padding_changes_nothing(parameters: str, extent: int) -> None:
    """With an extent, too, real positions come out as they do without padding."""
    module = randomize(GatherExcite(4, extent=extent, parameters=parameters))  # type: ignore[arg-type]  # one of three
    x = torch.randn(2, 4, 5, 3, dtype=torch.float64)
    padded = torch.full((2, 4, 9, 8), float("nan"), dtype=torch.float64)
    padded[..., :5, :3] = x
    mask = torch.zeros(2, 9, 8, dtype=torch.bool)
    mask[:, :5, :3] = True
    torch.testing.assert_close(module(padded, mask)[..., :5, :3], module(x))
    found = module.attention_map(padded, mask).spatial[:, :5, :3]
    torch.testing.assert_close(found, module.attention_map(x).spatial)


def test_windows_can_be_batched() -> None:
    """torch.func's `vmap` gives what a loop gives: no layout is asked for there."""
    module, xs = GatherExcite(4, extent=2), torch.randn(3, 2, 4, 5, 3)
    torch.testing.assert_close(torch.func.vmap(module)(xs), torch.stack([module(x) for x in xs]))


def test_the_whole_maps_convolution_refuses_a_mask() -> None:
    """Its kernel belongs to the map as a whole; the message says what to do."""
    module = GatherExcite(4, ndim=1, parameters="gather")
    with pytest.raises(InvalidValue, match=r"cannot honour a mask\. Give an extent, or parameters"):
        module(torch.randn(2, 4, 5), MASK)


@pytest.mark.parametrize(("extent", "ours"), [(0, None), (2, 2), (4, 4)])
def test_equals_timm(extent: int, ours: int | None) -> None:
    """Without parameters it gives the numbers of timm's at sizes that the extent divides."""
    gather_excite = pytest.importorskip("timm.layers.gather_excite")
    x = torch.randn(2, 8, 8, 12)
    theirs = gather_excite.GatherExcite(8, extent=extent, use_mlp=False)
    torch.testing.assert_close(GatherExcite(8, extent=ours)(x), theirs(x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"extent": 0}, "extent is 0, but must be a whole number of at least 2"),
        ({"extent": 6}, "extent is 6, but must be a power of 2"),
        ({"parameters": "all"}, "parameters is 'all', but must be one of 'none', 'gather', 'both'"),
        ({"reduction": 0}, "reduction is 0, but must be a whole number of at least 1"),
        ({"min_hidden": 0}, "min_hidden is 0, but must be a whole number"),
        ({"use_bias": 1}, "use_bias is 1, but must be True or False"),
        ({"kernel_size": 0}, "kernel_size is 0, but must be a whole number"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"GatherExcite: {message}"):
        GatherExcite(64, **options)  # type: ignore[arg-type]  # what is tested

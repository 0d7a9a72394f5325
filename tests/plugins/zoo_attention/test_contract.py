"""What every attention of the plug-in promises; a new one is held to it by being listed."""

from __future__ import annotations

import copy
import importlib
import inspect
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import zoo_attention
from torch import nn

from zoo import AttentionMap, Component, InvalidValue

torch.set_num_threads(1)

EACH = pytest.mark.parametrize(
    ("component", "ndim"),
    [(component, ndim) for component in zoo_attention.COMPONENTS for ndim in component.ndims],
    ids=lambda value: value.name if isinstance(value, Component) else f"{value}d",
)
EACH_MASKED = pytest.mark.parametrize(
    ("component", "ndim"),
    [(c, ndim) for c in zoo_attention.COMPONENTS if c.mask for ndim in c.ndims],
    ids=lambda value: value.name if isinstance(value, Component) else f"{value}d",
)
EACH_ONCE = pytest.mark.parametrize(
    "component", zoo_attention.COMPONENTS, ids=lambda component: component.name
)
# In eval mode these look at one position at a time: there padding does no harm, masked or not.
POSITION_WISE = {"nam", "sse"}
SIZES = {1: [(1,), (2,), (7,), (16,)], 2: [(1, 1), (1, 6), (3, 5), (8, 8)]}
SMALL = {1: (7,), 2: (5, 3)}


def build(component: Component, channels: int, ndim: int) -> nn.Module:
    """Return the module with every parameter random, so that none stays neutral at its start value."""
    torch.manual_seed(0)
    module = component.load()(channels, ndim=ndim)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return module


def draw(channels: int, size: tuple[int, ...], *, batch: int = 2, seed: int = 1) -> torch.Tensor:
    """Return a random map."""
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(seed))


def pad(x: torch.Tensor, value: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x with three further positions of `value` at the end of each axis, and its mask."""
    wider = [side + 3 for side in x.shape[2:]]
    padded = x.new_full((*x.shape[:2], *wider), value)
    mask = torch.zeros(x.shape[0], *wider, dtype=torch.bool)
    window = tuple(slice(side) for side in x.shape[2:])
    padded[(..., *window)] = x
    mask[(..., *window)] = True
    return padded, mask


def crop(y: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return the part of y that `pad` did not add to `like`."""
    return y[(..., *(slice(side) for side in like.shape[2:]))]


def is_batch_norm(module: nn.Module) -> bool:
    """Tell whether a module learns the statistics of its batch, and so needs two positions."""
    return isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)


@EACH
@pytest.mark.parametrize("batch", [1, 3])
def test_keeps_shape_and_dtype_at_any_size_in_training(
    component: Component, ndim: int, batch: int
) -> None:
    """Odd, non-square and one-position maps pass in training, with one sample or several.

    One position in all is refused where there is a batch norm, and the message says so.
    """
    module = build(component, 8, ndim).train()
    for size in SIZES[ndim]:
        x = draw(8, size, batch=batch).requires_grad_()
        if batch * math.prod(size) == 1 and any(map(is_batch_norm, module.modules())):
            with pytest.raises(InvalidValue, match="number of positions in the batch is 1"):
                module(x)
            continue
        y = module(x)
        assert (y.shape, y.dtype) == (x.shape, x.dtype)
        y.square().sum().backward()
        assert y.isfinite().all()
        assert x.grad is not None
        assert x.grad.isfinite().all()


@EACH
@pytest.mark.parametrize("channels", [8, 16, 64, 96])
def test_takes_the_usual_widths(component: Component, ndim: int, channels: int) -> None:
    """Widths from small to wide all work with the default options."""
    x = draw(channels, SMALL[ndim])
    assert build(component, channels, ndim)(x).shape == x.shape


@EACH
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_keeps_the_dtype_under_autocast(
    component: Component, ndim: int, dtype: torch.dtype
) -> None:
    """Under bfloat16 autocast the output has the dtype of the input and nearly its exact numbers."""
    module = build(component, 16, ndim).eval()
    x = draw(16, SMALL[ndim])
    with torch.autocast("cpu", torch.bfloat16):
        y = module(x.to(dtype))
    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), module(x), rtol=0.05, atol=0.05)


@EACH
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_runs_in_its_parameters_dtype(component: Component, ndim: int, dtype: torch.dtype) -> None:
    """A module moved to another dtype keeps that dtype."""
    module = build(component, 16, ndim).to(dtype)
    assert module(draw(16, SMALL[ndim]).to(dtype)).dtype == dtype


@EACH
@pytest.mark.parametrize("needs_grad", [False, True])
def test_leaves_its_input_alone(component: Component, ndim: int, needs_grad: bool) -> None:
    """Neither with gradients nor without is the input written to."""
    module = build(component, 8, ndim)
    x = draw(8, SMALL[ndim])
    before = x.clone()
    with torch.set_grad_enabled(needs_grad):
        y = module(x)
    assert torch.equal(x, before)
    assert y.data_ptr() != x.data_ptr()


@EACH
def test_gives_the_same_numbers_without_gradients(component: Component, ndim: int) -> None:
    """The road taken when no gradient is needed gives the numbers of the other one."""
    module = build(component, 16, ndim).eval()
    x = draw(16, SMALL[ndim])
    with torch.inference_mode():
        fast = module(x)
    torch.testing.assert_close(fast, module(x.clone().requires_grad_()).detach())


@EACH
def test_samples_do_not_see_each_other(component: Component, ndim: int) -> None:
    """In eval mode a sample's output does not depend on its neighbours in the batch."""
    module = build(component, 16, ndim).eval()
    x = draw(16, SMALL[ndim], batch=4)
    alone = torch.cat([module(sample) for sample in x.split(1)])
    torch.testing.assert_close(module(x), alone, rtol=1e-5, atol=1e-6)


@EACH_MASKED
@pytest.mark.parametrize("garbage", [0.0, 1e4, float("nan"), float("-inf")])
def test_padding_changes_nothing(component: Component, ndim: int, garbage: float) -> None:
    """Real positions come out as they do without padding, whatever stands in the padding."""
    module = build(component, 16, ndim).eval()
    x = draw(16, SMALL[ndim])
    padded, mask = pad(x, garbage)
    torch.testing.assert_close(crop(module(padded, mask), x), module(x), rtol=1e-5, atol=1e-5)


@EACH_MASKED
def test_a_mask_is_not_ignored(component: Component, ndim: int) -> None:
    """The same padding without its mask changes the output: the test above can fail."""
    module = build(component, 16, ndim).eval()
    x = draw(16, SMALL[ndim])
    padded, mask = pad(x, 0.0)
    # Not one value: the same in all channels is nothing to a softmax over channels.
    padded = torch.where(mask.unsqueeze(1), padded, draw(16, padded.shape[2:], seed=2))
    unmasked, masked = crop(module(padded), x), crop(module(padded, mask), x)
    assert torch.allclose(unmasked, masked, atol=1e-3) == (component.name in POSITION_WISE)


@EACH_MASKED
def test_padding_changes_no_gradient(component: Component, ndim: int) -> None:
    """The gradients of real positions and of parameters are those without padding."""
    module = build(component, 16, ndim).double()
    x = draw(16, SMALL[ndim]).double()
    padded, mask = pad(x, 5.0)
    inputs = [x.requires_grad_(), *module.parameters()]
    expected = torch.autograd.grad(module(x).square().sum(), inputs)
    inputs = [padded.requires_grad_(), *module.parameters()]
    found = torch.autograd.grad(crop(module(padded, mask), x).square().sum(), inputs)
    torch.testing.assert_close(crop(found[0], x), expected[0])
    torch.testing.assert_close(found[1:], expected[1:])


@EACH_MASKED
def test_a_full_mask_equals_no_mask(component: Component, ndim: int) -> None:
    """A mask that is True everywhere changes nothing."""
    module = build(component, 16, ndim).eval()
    x = draw(16, SMALL[ndim])
    mask = torch.ones(2, *SMALL[ndim], dtype=torch.bool)
    torch.testing.assert_close(module(x, mask), module(x))


@EACH_MASKED
def test_a_sample_without_real_positions_stays_finite(component: Component, ndim: int) -> None:
    """An empty sample gives finite output and gradients, and leaves its neighbour alone."""
    module = build(component, 16, ndim).eval()
    x = draw(16, SMALL[ndim]).requires_grad_()
    mask = torch.ones(2, *SMALL[ndim], dtype=torch.bool)
    mask[1] = False
    y = module(x, mask)
    y.sum().backward()
    assert y.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in (x, *module.parameters()))
    torch.testing.assert_close(y[:1], module(x[:1]))


@EACH_ONCE
def test_channels_last_gives_the_same_numbers(component: Component) -> None:
    """A channels_last map gives the numbers of a contiguous one."""
    if 2 not in component.ndims:
        pytest.skip("channels_last is for two dimensions")
    module = build(component, 16, 2).eval()
    x = draw(16, (6, 5))
    last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(module(last), module(x), rtol=1e-5, atol=1e-6)


@EACH
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4, 1e8])
def test_stays_finite_on_extreme_input(component: Component, ndim: int, scale: float) -> None:
    """Constant, zero, very small and very large maps give finite output and gradients."""
    module = build(component, 8, ndim)
    for base in (draw(8, SMALL[ndim]), torch.ones(2, 8, *SMALL[ndim])):
        x = (base * scale).requires_grad_()
        y = module(x)
        y.sum().backward()
        assert y.isfinite().all()
        assert all(
            p.grad is not None and p.grad.isfinite().all() for p in (x, *module.parameters())
        )


@EACH
def test_state_is_complete(component: Component, ndim: int) -> None:
    """Another module given the state of the first, and a deep copy of it, give the same output."""
    module = build(component, 16, ndim).eval()
    other = component.load()(16, ndim=ndim).eval()
    other.load_state_dict(module.state_dict())
    x = draw(16, SMALL[ndim])
    assert torch.equal(other(x), module(x))
    assert torch.equal(copy.deepcopy(module)(x), module(x))


@EACH
def test_exports_with_a_dynamic_size(component: Component, ndim: int) -> None:
    """One exported program serves other batch and map sizes with the same numbers."""
    module = build(component, 8, ndim).eval()
    axes = {0: torch.export.Dim.DYNAMIC}
    axes |= {axis + 2: torch.export.Dim.DYNAMIC for axis in range(ndim)}
    program = torch.export.export(
        module, (draw(8, (6, 8)[:ndim], batch=3),), dynamic_shapes={"x": axes}
    )
    x = draw(8, (9, 5)[:ndim])
    torch.testing.assert_close(program.module()(x), module(x))


@EACH_MASKED
def test_compiles_in_one_piece_with_a_mask(component: Component, ndim: int) -> None:
    """The compiler's tracer finds nothing to break the graph at."""
    torch._dynamo.reset()
    module = build(component, 8, ndim).eval()
    padded, mask = pad(draw(8, SMALL[ndim]), 2.0)
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(padded, mask), module(padded, mask))


@EACH
def test_attention_map_has_the_agreed_form(component: Component, ndim: int) -> None:
    """Weights have one entry a channel or position; self-attention's sum to 1 over positions."""
    module = build(component, 16, ndim).eval()
    x = draw(16, SMALL[ndim])
    found = module.attention_map(x)
    assert isinstance(found, AttentionMap)
    assert found.channel is not None or found.spatial is not None
    if found.channel is not None:
        assert found.channel.shape == (2, 16)
    if found.spatial is not None:
        assert found.spatial.shape == (2, *SMALL[ndim])
        if component.family == "self":
            torch.testing.assert_close(found.spatial.flatten(1).sum(1), torch.ones(2))


@EACH_MASKED
def test_attention_map_honours_the_mask(component: Component, ndim: int) -> None:
    """Weights of channels and real positions are those without padding."""
    module = build(component, 16, ndim).eval()
    x = draw(16, SMALL[ndim])
    padded, mask = pad(x, 1e3)
    expected, found = module.attention_map(x), module.attention_map(padded, mask)
    if expected.channel is not None:
        torch.testing.assert_close(found.channel, expected.channel)
    if expected.spatial is not None:
        torch.testing.assert_close(crop(found.spatial, x), expected.spatial)
        if component.family == "self":
            assert found.spatial[~mask].abs().max() == 0


@EACH_ONCE
@pytest.mark.parametrize("channels", [0, -4, 2.5, True, "8"])
def test_refuses_bad_channels(component: Component, channels: object) -> None:
    """A number of channels that is none is refused with the module's name and the rule."""
    cls = component.load()
    with pytest.raises(InvalidValue, match=rf"{cls.__name__}: channels is .* at least 1"):
        cls(channels)


@EACH_ONCE
@pytest.mark.parametrize("ndim", [0, 3, True, "2"])
def test_refuses_bad_ndim(component: Component, ndim: object) -> None:
    """Only one and two spatial dimensions exist."""
    cls = component.load()
    with pytest.raises(InvalidValue, match=rf"{cls.__name__}: ndim is .*, but must be 1 for"):
        cls(16, ndim=ndim)


@EACH_ONCE
def test_refuses_a_misspelt_option(component: Component) -> None:
    """An option that does not exist is not swallowed."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'redction'"):
        component.load()(16, redction=4)


@EACH
def test_refuses_a_wrong_shape(component: Component, ndim: int) -> None:
    """A map of another rank or width is refused, and the message says what is expected."""
    module = build(component, 16, ndim)
    letters = r"\(N, 16, L\)" if ndim == 1 else r"\(N, 16, H, W\)"
    for x in (draw(16, SMALL[3 - ndim]), draw(8, SMALL[ndim]), torch.zeros(2, 16)):
        with pytest.raises(InvalidValue, match=f"the shape of x is .*must be {letters}"):
            module(x)


@EACH_MASKED
def test_refuses_a_wrong_mask(component: Component, ndim: int) -> None:
    """A mask must be bool, and have the shape of x less its channels."""
    module = build(component, 16, ndim)
    x = draw(16, SMALL[ndim])
    with pytest.raises(InvalidValue, match=r"the dtype of mask is torch\.float32"):
        module(x, torch.ones(2, *SMALL[ndim]))
    with pytest.raises(InvalidValue, match=r"the shape of mask is \(1, .*must be \(2, "):
        module(x, torch.ones(1, *SMALL[ndim], dtype=torch.bool))


@EACH_ONCE
def test_every_option_has_a_default_and_is_keyword_only(component: Component) -> None:
    """`Class(channels, *, ndim=2, ...)`, without the names that the core keeps for itself."""
    parameters = inspect.signature(component.load()).parameters
    assert next(iter(parameters)) == "channels"
    options = list(parameters.values())[1:]
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in options)
    reserved = {"name", "slot", "stages", "blocks", "start", "pretrained", "dropout", "hidden"}
    assert not reserved & set(parameters)


@EACH_ONCE
def test_is_one_short_file_with_a_header(component: Component) -> None:
    """The file is named after the component, under 120 lines, and its header is its specification."""
    module = importlib.import_module(component.target.partition(":")[0])
    assert Path(module.__file__).stem == component.name
    assert len(Path(module.__file__).read_text().splitlines()) < 120
    for word in ("Paper ", "Formula ", "Shapes ", "Cost ", "Differs "):
        assert f"\n{word}" in module.__doc__
    assert component.paper.removeprefix("arXiv ") in module.__doc__
    assert component.summary


def test_the_hook_offers_what_is_listed() -> None:
    """The hook gives the list, and no name twice."""
    assert zoo_attention.zoo_attentions() == zoo_attention.COMPONENTS
    names = [component.name for component in zoo_attention.COMPONENTS]
    assert len(names) == len(set(names))


def test_the_hook_module_is_light() -> None:
    """Importing the plug-in does not import torch, which takes seconds."""
    code = "import sys, zoo_attention; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

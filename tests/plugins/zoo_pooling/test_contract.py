"""What every head of the plug-in promises; a new one is held to it by being listed."""

from __future__ import annotations

import copy
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import zoo_pooling
from torch import nn

from zoo import Component, InvalidValue

torch.set_num_threads(1)

EACH = pytest.mark.parametrize(
    ("component", "ndim"),
    [(component, ndim) for component in zoo_pooling.COMPONENTS for ndim in component.ndims],
    ids=lambda value: value.name if isinstance(value, Component) else f"{value}d",
)
EACH_MASKED = pytest.mark.parametrize(
    ("component", "ndim"),
    [(c, ndim) for c in zoo_pooling.COMPONENTS if c.mask for ndim in c.ndims],
    ids=lambda value: value.name if isinstance(value, Component) else f"{value}d",
)
EACH_ONCE = pytest.mark.parametrize(
    "component", zoo_pooling.COMPONENTS, ids=lambda component: component.name
)
# Those that take no squares and no projections: a map of one value gives that value.
AVERAGES = ("avg", "max", "avgmax", "catavgmax", "gem", "lse", "softpool", "kmax", "spp")
EACH_AVERAGE = pytest.mark.parametrize(
    ("component", "ndim"),
    [(c, ndim) for c in zoo_pooling.COMPONENTS if c.name in AVERAGES for ndim in c.ndims],
    ids=lambda value: value.name if isinstance(value, Component) else f"{value}d",
)
SIZES = {1: [(1,), (2,), (7,), (16,)], 2: [(1, 1), (1, 6), (3, 5), (8, 8)]}
SMALL = {1: (7,), 2: (5, 3)}


def build(component: Component, channels: int, ndim: int) -> nn.Module:
    """Return the head, made with a fixed seed."""
    torch.manual_seed(0)
    head: nn.Module = component.load()(channels, ndim=ndim)
    return head


def draw(channels: int, size: tuple[int, ...], *, batch: int = 2) -> torch.Tensor:
    """Return a random map."""
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(1))


def pad(x: torch.Tensor, value: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x with three further positions of `value` at the end of each axis, and its mask."""
    wider = [side + 3 for side in x.shape[2:]]
    padded = x.new_full((*x.shape[:2], *wider), value)
    mask = torch.zeros(x.shape[0], *wider, dtype=torch.bool)
    window = tuple(slice(side) for side in x.shape[2:])
    padded[(..., *window)] = x
    mask[(..., *window)] = True
    return padded, mask


@EACH
@pytest.mark.parametrize("batch", [1, 3])
def test_gives_one_vector_a_sample_at_any_size(component: Component, ndim: int, batch: int) -> None:
    """The output is (N, out_features) for odd, non-square and one-position maps, in training."""
    head = build(component, 8, ndim).train()
    for size in SIZES[ndim]:
        x = draw(8, size, batch=batch).requires_grad_()
        y = head(x)
        assert (y.shape, y.dtype) == ((batch, head.out_features), x.dtype)
        y.square().sum().backward()
        assert y.isfinite().all()
        assert x.grad is not None
        assert x.grad.isfinite().all()


@EACH
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_keeps_the_dtype_under_autocast(
    component: Component, ndim: int, dtype: torch.dtype
) -> None:
    """Under bfloat16 autocast the output has the dtype of the input and nearly its exact numbers."""
    head = build(component, 16, ndim)
    x = draw(16, SMALL[ndim])
    with torch.autocast("cpu", torch.bfloat16):
        y = head(x.to(dtype))
    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), head(x), rtol=0.02, atol=0.02)


@EACH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_sixteen_bits_do_not_overflow(component: Component, ndim: int, dtype: torch.dtype) -> None:
    """Large maps of large values give in every dtype what they give in 64 bits."""
    x = torch.full((1, 8, *[300] * ndim), 100.0, dtype=dtype)
    y = build(component, 8, ndim).to(dtype)(x)
    assert y.dtype == dtype
    expected = build(component, 8, ndim).double()(x.double())
    largest = expected.abs().max().item()
    torch.testing.assert_close(y.double(), expected, rtol=0.01, atol=0.01 * largest)


@EACH_AVERAGE
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_averages_keep_a_common_value(component: Component, ndim: int, dtype: torch.dtype) -> None:
    """Large maps of one large value give that value in every dtype."""
    x = torch.full((1, 8, *[300] * ndim), 100.0, dtype=dtype)
    y = build(component, 8, ndim)(x)
    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), torch.full_like(y, 100.0).float(), rtol=0.01, atol=0)


@EACH_AVERAGE
def test_averages_take_huge_values(component: Component, ndim: int) -> None:
    """Values near the end of float32's range, whose squares are infinite, do no harm."""
    head = build(component, 8, ndim)
    x = (draw(8, SMALL[ndim]) * 1e30).requires_grad_()
    y = head(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in (x, *head.parameters()))


@EACH
def test_leaves_its_input_alone(component: Component, ndim: int) -> None:
    """The input is not written to."""
    x = draw(8, SMALL[ndim])
    before = x.clone()
    with torch.inference_mode():
        build(component, 8, ndim)(x)
    assert torch.equal(x, before)


@EACH
def test_samples_do_not_see_each_other(component: Component, ndim: int) -> None:
    """A sample's vector does not depend on its neighbours in the batch."""
    head = build(component, 16, ndim).eval()
    x = draw(16, SMALL[ndim], batch=4)
    alone = torch.cat([head(sample) for sample in x.split(1)])
    # Products of another size round otherwise, and netvlad multiplies that by a hundred.
    torch.testing.assert_close(head(x), alone, rtol=1e-4, atol=1e-5)


@EACH_MASKED
@pytest.mark.parametrize("garbage", [0.0, 1e4, float("nan"), float("-inf")])
def test_padding_changes_nothing(component: Component, ndim: int, garbage: float) -> None:
    """The vector is the one without padding, whatever stands in the padding."""
    head = build(component, 16, ndim).eval()
    x = draw(16, SMALL[ndim])
    torch.testing.assert_close(head(*pad(x, garbage)), head(x), rtol=1e-5, atol=1e-6)


@EACH_MASKED
def test_a_mask_is_not_ignored(component: Component, ndim: int) -> None:
    """The same padding without its mask changes the vector: the test above can fail."""
    head = build(component, 16, ndim).eval()
    padded, mask = pad(draw(16, SMALL[ndim]), 3.0)
    assert not torch.allclose(head(padded), head(padded, mask), atol=1e-2)


@EACH_MASKED
def test_padding_changes_no_gradient(component: Component, ndim: int) -> None:
    """The gradients of real positions and of parameters are those without padding."""
    head = build(component, 16, ndim).double()
    x = draw(16, SMALL[ndim]).double()
    padded, mask = pad(x, 5.0)
    inputs = [x.requires_grad_(), *head.parameters()]
    expected = torch.autograd.grad(head(x).square().sum(), inputs)
    inputs = [padded.requires_grad_(), *head.parameters()]
    found = torch.autograd.grad(head(padded, mask).square().sum(), inputs)
    torch.testing.assert_close(found[0][mask.unsqueeze(1).expand_as(padded)], expected[0].flatten())
    assert found[0][~mask.unsqueeze(1).expand_as(padded)].abs().max() == 0
    torch.testing.assert_close(found[1:], expected[1:])


@EACH_MASKED
def test_a_sample_without_real_positions_gives_zeros(component: Component, ndim: int) -> None:
    """An empty sample gives zeros and finite gradients, and leaves its neighbour alone."""
    head = build(component, 16, ndim).eval()
    x = draw(16, SMALL[ndim]).requires_grad_()
    mask = torch.ones(2, *SMALL[ndim], dtype=torch.bool)
    mask[1] = False
    y = head(x, mask)
    y.sum().backward()
    assert y[1].abs().max() == 0
    assert all(p.grad.isfinite().all() for p in (x, *head.parameters()))
    torch.testing.assert_close(y[:1], head(x[:1]))


@EACH_ONCE
def test_channels_last_gives_the_same_numbers(component: Component) -> None:
    """A channels_last map gives the numbers of a contiguous one."""
    if 2 not in component.ndims:
        pytest.skip("channels_last is for two dimensions")
    head = build(component, 16, 2).eval()
    x = draw(16, (6, 5))
    last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(head(last), head(x), rtol=1e-5, atol=1e-6)


@EACH
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4, 1e8])
def test_stays_finite_on_extreme_input(component: Component, ndim: int, scale: float) -> None:
    """Constant, zero, very small and very large maps give finite output and gradients."""
    head = build(component, 8, ndim)
    for base in (draw(8, SMALL[ndim]), torch.ones(2, 8, *SMALL[ndim])):
        x = (base * scale).requires_grad_()
        y = head(x)
        y.sum().backward()
        assert y.isfinite().all()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in (x, *head.parameters()))


@EACH
def test_state_is_complete(component: Component, ndim: int) -> None:
    """Another head given the state of the first, and a deep copy of it, give the same output."""
    head = build(component, 16, ndim)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.1)
    other = component.load()(16, ndim=ndim)
    other.load_state_dict(head.state_dict())
    x = draw(16, SMALL[ndim])
    assert torch.equal(other(x), head(x))
    assert torch.equal(copy.deepcopy(head)(x), head(x))


@EACH_MASKED
def test_exports_with_a_dynamic_size(component: Component, ndim: int) -> None:
    """One exported program, with a mask, serves other batch and map sizes with the same numbers."""
    head = build(component, 8, ndim).eval()
    dynamic = torch.export.Dim.DYNAMIC
    shapes = {
        "x": dict.fromkeys((0, *range(2, ndim + 2)), dynamic),
        "mask": dict.fromkeys(range(ndim + 1), dynamic),
    }
    example = pad(draw(8, (6, 8)[:ndim], batch=3), 2.0)
    program = torch.export.export(head, example, dynamic_shapes=shapes).module()
    other = pad(draw(8, (9, 5)[:ndim]), 2.0)
    torch.testing.assert_close(program(*other), head(*other))


class Listener(nn.Module):
    """A head behind strided convolutions over sound, whose map has a fixed height."""

    def __init__(self, head: nn.Module, ndim: int) -> None:
        super().__init__()
        self.frames = nn.Conv1d(1, 8, 40, stride=16, padding=8)
        self.map: nn.Module = nn.Conv1d(8, 8, 3, stride=2, padding=1)
        if ndim == 2:
            unflatten = nn.Unflatten(1, (2, 4))
            self.map = nn.Sequential(unflatten, nn.Conv2d(2, 8, 3, stride=2, padding=1))
        self.head = head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, 1, T) to (N, out_features)."""
        y: torch.Tensor = self.head(self.map(self.frames(x)))
        return y


@EACH
def test_exports_behind_a_backbone_for_any_length(component: Component, ndim: int) -> None:
    """One exported program serves every length of sound: the head guards against none of them."""
    model = Listener(build(component, 8, ndim), ndim).eval()
    sizes = {0: torch.export.Dim("N", min=2, max=64), 2: torch.export.Dim("T", min=300, max=10**6)}
    example = (torch.randn(2, 1, 400),)
    program = torch.export.export(model, example, dynamic_shapes={"x": sizes}).module()
    x = torch.randn(3, 1, 777)
    torch.testing.assert_close(program(x), model(x))


@EACH
def test_compiles_in_one_piece(component: Component, ndim: int) -> None:
    """The compiler's tracer finds nothing to break the graph at."""
    torch._dynamo.reset()
    head = build(component, 8, ndim).eval()
    x = draw(8, SMALL[ndim])
    compiled = torch.compile(head, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), head(x))


@EACH_ONCE
@pytest.mark.parametrize("channels", [0, -4, 2.5, True, "8"])
def test_refuses_bad_channels(component: Component, channels: object) -> None:
    """A number of channels that is none is refused with the head's name and the rule."""
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
    with pytest.raises(TypeError, match="unexpected keyword argument 'powr'"):
        component.load()(16, powr=4)


@EACH
def test_refuses_a_wrong_shape(component: Component, ndim: int) -> None:
    """A map of another rank or width is refused, and the message says what is expected."""
    head = build(component, 16, ndim)
    letters = r"\(N, 16, L\)" if ndim == 1 else r"\(N, 16, H, W\)"
    for x in (draw(16, SMALL[3 - ndim]), draw(8, SMALL[ndim]), torch.zeros(2, 16)):
        with pytest.raises(InvalidValue, match=f"the shape of x is .*must be {letters}"):
            head(x)


@EACH_MASKED
def test_refuses_a_wrong_mask(component: Component, ndim: int) -> None:
    """A mask must be bool, and have the shape of x less its channels."""
    head = build(component, 16, ndim)
    x = draw(16, SMALL[ndim])
    with pytest.raises(InvalidValue, match=r"the dtype of mask is torch\.float32"):
        head(x, torch.ones(2, *SMALL[ndim]))
    with pytest.raises(InvalidValue, match=r"the shape of mask is \(1, .*must be \(2, "):
        head(x, torch.ones(1, *SMALL[ndim], dtype=torch.bool))


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
    for word in ("Formula ", "Shapes ", "Mask ", "Cost "):
        assert f"\n{word}" in module.__doc__
    assert component.paper.removeprefix("arXiv ") in module.__doc__
    assert component.summary


def test_the_hook_offers_what_is_listed() -> None:
    """The hook gives the list, and no name twice."""
    assert zoo_pooling.zoo_heads() == zoo_pooling.COMPONENTS
    names = [component.name for component in zoo_pooling.COMPONENTS]
    assert len(names) == len(set(names))


def test_the_hook_module_is_light() -> None:
    """Importing the plug-in does not import torch, which takes seconds."""
    code = "import sys, zoo_pooling; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

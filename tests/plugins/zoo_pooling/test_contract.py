"""What every head of the plug-in promises: all that the conformance kit asks, and more of the numbers.

A new one is held to it by being listed.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import zoo_pooling
from torch import nn

from zoo import Component, InvalidValue
from zoo.testing import check_head

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
SMALL = {1: (7,), 2: (5, 3)}
LARGE = {1: (1000,), 2: (50, 40)}  # a sum of values of 100 overflows in float16


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


@EACH_ONCE
def test_has_every_property(component: Component) -> None:
    """The conformance kit finds nothing wrong with it."""
    check_head(component)


@pytest.mark.slow
@EACH_ONCE
def test_has_what_takes_long_to_check(component: Component) -> None:
    """Nor do torch's compiler and, where it is installed, onnxruntime."""
    check_head(component, slow=True)


@EACH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bits_do_not_overflow(component: Component, ndim: int, dtype: torch.dtype) -> None:
    """Large maps of large values give in every dtype what they give in 64 bits."""
    x = torch.full((1, 8, *LARGE[ndim]), 100.0, dtype=dtype)
    y = build(component, 8, ndim).to(dtype)(x)
    assert y.dtype == dtype
    expected = build(component, 8, ndim).double()(x.double())
    largest = expected.abs().max().item()
    torch.testing.assert_close(y.double(), expected, rtol=0.01, atol=0.01 * largest)


@EACH_AVERAGE
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_averages_keep_a_common_value(component: Component, ndim: int, dtype: torch.dtype) -> None:
    """Large maps of one large value give that value in every dtype."""
    x = torch.full((1, 8, *LARGE[ndim]), 100.0, dtype=dtype)
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


@EACH_MASKED
def test_a_sample_without_real_positions_gives_zeros(component: Component, ndim: int) -> None:
    """Which is not said of attentions, whose output there nobody reads."""
    mask = torch.zeros(2, *SMALL[ndim], dtype=torch.bool)
    assert build(component, 16, ndim).eval()(draw(16, SMALL[ndim]), mask).abs().max() == 0


@pytest.mark.slow
@EACH_MASKED
def test_exports_with_a_mask(component: Component, ndim: int) -> None:
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


@pytest.mark.slow
@EACH
def test_exports_behind_a_backbone_for_any_length(component: Component, ndim: int) -> None:
    """One exported program serves every length of sound: the head guards against none of them."""
    model = Listener(build(component, 8, ndim), ndim).eval()
    sizes = {0: torch.export.Dim("N", min=2, max=64), 2: torch.export.Dim("T", min=300, max=10**6)}
    example = (torch.randn(2, 1, 400),)
    program = torch.export.export(model, example, dynamic_shapes={"x": sizes}).module()
    x = torch.randn(3, 1, 777)
    torch.testing.assert_close(program(x), model(x))


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

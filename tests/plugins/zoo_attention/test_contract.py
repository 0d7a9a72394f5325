"""What every attention of the plug-in promises: all that the conformance kit asks, and clear refusals.

A new one is held to it by being listed.
"""

from __future__ import annotations

import copy
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import zoo_attention
from torch import nn

from zoo import Component, InvalidValue
from zoo.testing import check_attention

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
EACH_SELF = pytest.mark.parametrize(
    "component",
    [c for c in zoo_attention.COMPONENTS if c.family == "self"],
    ids=lambda component: component.name,
)
SMALL = {1: (7,), 2: (5, 3)}


def has_batch_norm(module: nn.Module) -> bool:
    """Tell whether a module holds a batch norm."""
    return any(isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) for part in module.modules())


EACH_NORMED = pytest.mark.parametrize(
    "component",
    [c for c in zoo_attention.COMPONENTS if c.mask and has_batch_norm(c.load()(8))],
    ids=lambda component: component.name,
)


def draw(channels: int, size: tuple[int, ...]) -> torch.Tensor:
    """Return a random map."""
    return torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(1))


@EACH_ONCE
def test_has_every_property(component: Component) -> None:
    """The conformance kit finds nothing wrong with it."""
    check_attention(component)


@pytest.mark.slow
@EACH_ONCE
def test_has_what_takes_long_to_check(component: Component) -> None:
    """Nor do torch's compiler and, where it is installed, onnxruntime."""
    check_attention(component, slow=True)


@EACH
def test_a_batch_norm_is_not_trained_on_one_position(component: Component, ndim: int) -> None:
    """The message says what to do; without a batch norm it works."""
    module = component.load()(8, ndim=ndim).train()
    x = torch.randn(1, 8, *[1] * ndim)
    if has_batch_norm(module):
        with pytest.raises(InvalidValue, match="number of positions in the batch is 1, but must"):
            module(x)
    else:
        assert module(x).isfinite().all()


@EACH_NORMED
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_mask_may_leave_few_positions_to_train_on(component: Component, number: int) -> None:
    """With less than two its batch norms use what they have learnt; nothing becomes NaN."""
    module = component.load()(8).train()
    mask = torch.zeros(2, 5, 3, dtype=torch.bool)
    mask[0, 0, :number] = True
    y = module(draw(8, SMALL[2]).requires_grad_(), mask)
    y.sum().backward()
    assert y.isfinite().all()
    for value in [*(p.grad for p in module.parameters() if p.grad is not None), *module.buffers()]:
        assert value.isfinite().all()


@pytest.mark.slow
@EACH_NORMED
def test_training_with_a_mask_is_traced_in_one_piece(component: Component) -> None:
    """Nothing in it depends on how many positions are real."""
    torch._dynamo.reset()
    module = component.load()(8).train()
    mask = torch.ones(2, 5, 3, dtype=torch.bool)
    mask[:, 4] = False
    program = torch.compile(copy.deepcopy(module), backend="eager", fullgraph=True)
    torch.testing.assert_close(program(draw(8, SMALL[2]), mask), module(draw(8, SMALL[2]), mask))


@torch.no_grad()
@EACH_SELF
def test_attention_map_of_an_empty_sample_sums_to_one(component: Component) -> None:
    """Where no position is real all are read, in each self-attention."""
    module = component.load()(8).eval()
    mask = torch.ones(2, 5, 3, dtype=torch.bool)
    mask[1] = False
    found = module.attention_map(draw(8, SMALL[2]), mask)
    for weights in (found.spatial, found.channel):
        if weights is not None:
            torch.testing.assert_close(weights.flatten(1).sum(1), torch.ones(2))


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


@EACH
def test_refuses_a_wrong_shape(component: Component, ndim: int) -> None:
    """A map of another rank or width is refused, and the message says what is expected."""
    module = component.load()(16, ndim=ndim)
    letters = r"\(N, 16, L\)" if ndim == 1 else r"\(N, 16, H, W\)"
    for x in (draw(16, SMALL[3 - ndim]), draw(8, SMALL[ndim]), torch.zeros(2, 16)):
        with pytest.raises(InvalidValue, match=f"the shape of x is .*must be {letters}"):
            module(x)


@EACH_MASKED
def test_refuses_a_wrong_mask(component: Component, ndim: int) -> None:
    """A mask must be bool, and have the shape of x less its channels."""
    module = component.load()(16, ndim=ndim)
    x = draw(16, SMALL[ndim])
    with pytest.raises(InvalidValue, match=r"the dtype of mask is torch\.float32"):
        module(x, torch.ones(2, *SMALL[ndim]))
    with pytest.raises(InvalidValue, match=r"the shape of mask is \(1, .*must be \(2, "):
        module(x, torch.ones(1, *SMALL[ndim], dtype=torch.bool))


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


@EACH
def test_takes_a_batch_of_no_samples(component: Component, ndim: int) -> None:
    """No sample in gives none out, and no weights; with a mask as well."""
    module = component.load()(16, ndim=ndim).eval()
    x, mask = torch.zeros(0, 16, *SMALL[ndim]), torch.ones(0, *SMALL[ndim], dtype=torch.bool)
    for real in (None, mask) if component.mask else (None,):
        assert module(x, real).shape == x.shape
        found = module.attention_map(x, real)
        for weights in (found.spatial, found.channel):
            assert weights is None or len(weights) == 0

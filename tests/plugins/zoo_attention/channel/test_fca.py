"""FrequencyChannelAttention against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_attention.channel.fca import FrequencyChannelAttention

from zoo import InvalidValue

MASK = torch.tensor([[True, True, True, False], [True, True, False, False]])


def randomize(module: FrequencyChannelAttention) -> FrequencyChannelAttention:
    """Return the module in float64 and eval mode with random weights and statistics."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
        for buffer in module.buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.2, 1.0)
    return module.double().eval()


TOP = [(0, 0), (0, 1), (6, 0), (0, 5), (0, 2), (1, 0), (1, 2), (4, 0)]  # the paper's best eight


def by_the_paper(x: torch.Tensor, module: FrequencyChannelAttention, pairs: list) -> torch.Tensor:
    """Transform each group by its component of the size at hand, and excite, number by number."""
    samples, channels, height, width = x.shape
    first, second = module.reduce.weight.detach(), module.expand.weight.detach()
    y = torch.empty_like(x)
    for n in range(samples):
        z = torch.zeros(channels, dtype=x.dtype)
        for c in range(channels):
            # The paper's frequencies are those of 7 x 7 parts; at a larger size they are multiples.
            u, v = (f * side / 7 for f, side in zip(pairs[c], (height, width), strict=True))
            for i in range(height):
                for j in range(width):
                    wave = math.cos(math.pi * u * (i + 0.5) / height)
                    wave *= math.cos(math.pi * v * (j + 0.5) / width)
                    wave *= math.sqrt(2) ** ((u > 0) + (v > 0)) / math.sqrt(height * width)
                    z[c] += x[n, c, i, j] * wave
        logits = second @ (first @ z).clamp(min=0)
        y[n] = x[n] * (1 / (1 + torch.exp(-logits)))[:, None, None]
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = FrequencyChannelAttention(4, num_frequencies=4, min_hidden=3)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module, TOP[:4])


@pytest.mark.parametrize("size", [(7, 7), (14, 7), (3, 5), (1, 1)])
def test_follows_the_formula(size: tuple[int, int]) -> None:
    """The output is that of the equations, with two channels a frequency, at any size."""
    module = randomize(FrequencyChannelAttention(8, num_frequencies=4, min_hidden=3))
    x = torch.randn(2, 8, *size, dtype=torch.float64)
    pairs = [TOP[c // 2] for c in range(8)]
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module, pairs))


def test_few_channels_use_the_best_frequencies() -> None:
    """With fewer channels than frequencies each has one of its own."""
    module = randomize(FrequencyChannelAttention(8))
    x = torch.randn(1, 8, 7, 7, dtype=torch.float64)
    torch.testing.assert_close(module(x).detach(), by_the_paper(x, module, TOP))


@pytest.mark.parametrize(("channels", "sizes"), [(96, {6}), (40, {2, 3}), (17, {1, 2})])
def test_groups_are_as_equal_as_they_can_be(channels: int, sizes: set[int]) -> None:
    """Channels that 16 does not divide fall into groups that differ by one."""
    group = FrequencyChannelAttention(channels).group[:, 0]
    assert group.equal(group.sort().values)
    assert set(group.bincount(minlength=16).tolist()) == sizes


@pytest.mark.parametrize("selection", ["top", "low", "bottom"])
def test_components_are_orthonormal(selection: str) -> None:
    """In a map of 7 x 7 the 32 components of a ranking are 32 different ones of a cosine basis."""
    module = FrequencyChannelAttention(32, selection=selection, num_frequencies=32).double()  # type: ignore[arg-type]  # one of three
    assert len({*zip(module.rows.tolist(), module.columns.tolist(), strict=True)}) == 32
    seen = []
    module.reduce.register_forward_pre_hook(lambda _, args: seen.append(args[0][0]))
    for at in range(49):
        x = torch.zeros(1, 49, dtype=torch.float64)
        x[0, at] = 1
        module(x.expand(32, -1).reshape(1, 32, 7, 7))
    basis = torch.stack(seen, 1)  # (32, 49)
    torch.testing.assert_close(basis @ basis.t(), torch.eye(32, dtype=torch.float64))


def test_small_maps_keep_their_frequencies() -> None:
    """Under 7 x 7, too, there is more than the mean: two maps with one mean differ."""
    module = randomize(FrequencyChannelAttention(16))
    x = torch.randn(1, 16, 3, 3, dtype=torch.float64)
    gates = [module.attention_map(m).channel for m in (x, x.flip(2))]
    assert not torch.allclose(*gates)


def test_gradient_is_that_of_differences() -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = randomize(FrequencyChannelAttention(3))
    x = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    mask = MASK.reshape(2, 2, 2)
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_a_large_map_in_half_precision_does_not_overflow() -> None:
    """A sum of what float16 can hold is divided before it is taken; with a mask as well."""
    x = torch.full((1, 16, 56, 56), 40.0)
    mask = torch.ones(1, 56, 56, dtype=torch.bool)
    mask[:, 30:] = False
    module = FrequencyChannelAttention(16)
    for layer in (module.reduce, module.expand):  # so small that the gate is far from 0 and 1
        torch.nn.init.constant_(layer.weight, 0.005)
    for each in (None, mask):
        exact = module.float().attention_map(x, each).channel
        found = module.half().attention_map(x.half(), each).channel
        torch.testing.assert_close(found.float(), exact, rtol=0, atol=2e-2)


def test_the_cosines_are_not_saved() -> None:
    """The state is that of the two layers, so that it fits any size."""
    assert set(FrequencyChannelAttention(8).state_dict()) == {"reduce.weight", "expand.weight"}


def test_attention_map_is_the_gate() -> None:
    """The output is the input times the map."""
    module = randomize(FrequencyChannelAttention(8))
    x = torch.randn(2, 8, 4, 3, dtype=torch.float64)
    torch.testing.assert_close(module(x), x * module.attention_map(x).channel[..., None, None])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ndim": 1}, "ndim is 1, but must be 2 for"),
        ({"reduction": 0}, "reduction is 0, but must be a whole number of at least 1"),
        ({"min_hidden": 0}, "min_hidden is 0, but must be a whole number"),
        ({"selection": "best"}, "selection is 'best', but must be one of 'top', 'low', 'bottom'"),
        ({"num_frequencies": 0}, "num_frequencies is 0, but must be a whole number of at least 1"),
        ({"num_frequencies": 33}, "num_frequencies is 33, but must be at most 32"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"FrequencyChannelAttention: {message}"):
        FrequencyChannelAttention(64, **options)  # type: ignore[arg-type]  # what is tested

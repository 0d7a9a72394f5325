"""OmniDimensionalConv against its formula in loops and einsum."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional
from zoo_attention.branch.odconv import OmniDimensionalConv

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, module: OmniDimensionalConv, temperature: float) -> torch.Tensor:
    """Equation 2 of the paper for (N, C, L): each kernel is weighed along its axes, and then they mix."""
    channels, kernels, norm = x.shape[1], module.kernels.shape[0], module.norm
    side = module.kernels.shape[3]
    y = torch.zeros_like(x)
    for n in range(x.shape[0]):
        z = torch.stack([x[n, c].sum() / x.shape[2] for c in range(channels)])
        hidden = torch.einsum("hc,c->h", module.reduce.weight, z)
        if norm is not None:
            hidden = (hidden - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
            hidden = hidden * norm.weight + norm.bias
        hidden = torch.where(hidden > 0, hidden, 0)
        scores = torch.einsum("oh,h->o", module.expand.weight, hidden) + module.expand.bias
        scores = scores / temperature
        gates = [1 / (1 + math.exp(-score)) for score in scores[: 2 * channels + side]]
        powers = scores[2 * channels + side :].exp()
        assert len(powers) == kernels
        width = channels // module.groups
        weight = torch.zeros(channels, width, side, dtype=x.dtype)
        for o in range(channels):
            for i in range(width):
                for place in range(side):
                    gate = gates[o] * gates[channels + o // width * width + i]
                    mixed = (powers / powers.sum()) @ module.kernels[:, o, i, place]
                    weight[o, i, place] = gate * gates[2 * channels + place] * mixed
        y[n] = functional.conv1d(x[n], weight, padding=side // 2, groups=module.groups)
    return y


def sharp(channels: int, **options: object) -> OmniDimensionalConv:
    """Return a module in float64 and eval mode whose weights differ."""
    torch.manual_seed(0)
    module = OmniDimensionalConv(channels, **options).double().eval()
    torch.nn.init.normal_(module.expand.weight, std=5)
    if module.norm is not None:
        torch.nn.init.normal_(module.norm.weight)
        torch.nn.init.normal_(module.norm.running_mean)
    return module


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = OmniDimensionalConv(4, ndim=1, temperature=1.0)
    return module, (4, 5), lambda x: by_the_paper(x, module, 1.0)


@torch.no_grad()
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 30.0},
        {"groups": 2, "kernel_size": 5},
        {"num_kernels": 1},
        {"use_batch_norm": True},
    ],
)
def test_follows_the_formula(options: dict[str, object]) -> None:
    """The output is that of the paper's equations, with each option that changes them."""
    module = sharp(4, ndim=1, **options)
    x = torch.randn(3, 4, 6, dtype=torch.float64)
    expected = by_the_paper(x, module, options.get("temperature", 1.0))
    torch.testing.assert_close(module(x), expected)


@torch.no_grad()
def test_places_in_the_kernel_have_their_own_weight() -> None:
    """In two dimensions, too: with a gate of 1 at one place and 0 elsewhere, only its neighbour is read."""
    module = sharp(4, num_kernels=1)
    module.expand.weight.zero_()
    module.expand.bias.fill_(1e6)
    module.expand.bias[8:17] = -1e6
    module.expand.bias[8 + 5] = 1e6  # middle row, last column
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    right = functional.pad(x, (0, 1))[..., 1:]
    expected = torch.einsum("oi,nihw->nohw", module.kernels[0, :, :, 1, 2], right)
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("use_batch_norm", [False, True])
def test_gradient_is_that_of_differences(use_batch_norm: bool) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = sharp(2, ndim=1, min_hidden=3, use_batch_norm=use_batch_norm).train()
    x = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True] * 4, [True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


def test_temperature_is_saved_with_the_weights() -> None:
    """A module that loads the state of an annealed one gives its numbers."""
    module, other = sharp(8), sharp(8)
    x = torch.randn(2, 8, 3, 3, dtype=torch.float64)
    before = module(x)
    module.set_temperature(30.0)
    assert not torch.allclose(module(x), before)
    other.load_state_dict(module.state_dict())
    torch.testing.assert_close(other(x), module(x))


def test_batch_norm_trains_on_one_sample() -> None:
    """One sample has one value a channel, so the running statistics serve, and stay."""
    module = OmniDimensionalConv(8, use_batch_norm=True)
    for side in (1, 3):
        x = torch.randn(1, 8, side, side)
        torch.testing.assert_close(module.train()(x), module.eval()(x))
    assert module.norm.num_batches_tracked == 0


def test_attention_map_is_the_weight_of_input_channels() -> None:
    """A channel of weight 0 is not read."""
    module = OmniDimensionalConv(8)
    with torch.no_grad():
        module.expand.bias[8 + 3] = -1e6
    x = torch.randn(2, 8, 4, 3)
    assert (module.attention_map(x).channel[:, 3] == 0).all()
    (read,) = torch.autograd.grad(module(x).sum(), module.weight)
    read = read.unflatten(2, module.shape[1:])
    assert read[:, :, 3].abs().max() == 0
    assert read[:, :, 2].abs().max() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_kernels": 0}, "num_kernels is 0, but must be a whole number"),
        ({"kernel_size": 4}, "kernel_size is 4, but must be an odd whole number"),
        ({"groups": 0}, "groups is 0, but must be a whole number"),
        ({"groups": 5}, "channels is 64, but must be a multiple of 5, groups"),
        ({"reduction": 0.5}, "reduction is 0.5, but must be a whole number"),
        ({"min_hidden": None}, "min_hidden is None, but must be a whole number"),
        ({"temperature": 0}, "temperature is 0, but must be a finite number above 0"),
        ({"use_batch_norm": 1}, "use_batch_norm is 1, but must be True or False"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"OmniDimensionalConv: {message}"):
        OmniDimensionalConv(64, **options)  # type: ignore[arg-type]  # what is tested

"""Involution against its formula in loops."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call, vmap
from zoo_attention.branch.involution import Involution

from zoo import InvalidValue


def by_the_paper(x: torch.Tensor, module: Involution, group_width: int) -> torch.Tensor:
    """Equations 4 and 6 of the paper, for (N, C, H, W), position by position."""
    samples, channels, height, width = x.shape
    side, norm = module.kernel_size, module.norm
    y = torch.zeros_like(x)
    for n in range(samples):
        for row in range(height):
            for column in range(width):
                hidden = module.reduce.weight[..., 0, 0] @ x[n, :, row, column]
                hidden = (hidden - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
                hidden = (hidden * norm.weight + norm.bias).clamp(min=0)
                kernels = module.span.weight[..., 0, 0] @ hidden + module.span.bias
                for c in range(channels):
                    kernel = kernels[c // group_width * side**2 :][: side**2].reshape(side, side)
                    for i in range(side):
                        for j in range(side):
                            at = row + i - side // 2, column + j - side // 2
                            if 0 <= at[0] < height and 0 <= at[1] < width:
                                y[n, c, row, column] += kernel[i, j] * x[n, c, at[0], at[1]]
    return y


def randomised(module: Involution) -> Involution:
    """Return the module in float64 and eval mode, with a random norm."""
    torch.manual_seed(0)
    for name in ("weight", "bias", "running_mean"):
        torch.nn.init.normal_(getattr(module.norm, name))
    torch.nn.init.uniform_(module.norm.running_var, 0.5, 2)
    return module.double().eval()


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = Involution(4, min_hidden=3, kernel_size=3, group_channels=2)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module, 2)


@torch.no_grad()
@pytest.mark.parametrize(("kernel_size", "group_width"), [(3, 2), (5, 4), (1, 1)])
def test_follows_the_formula(kernel_size: int, group_width: int) -> None:
    """The output is that of the paper's equations."""
    sizes = {"kernel_size": kernel_size, "group_channels": group_width}
    module = randomised(Involution(4, min_hidden=3, **sizes))
    x = torch.randn(2, 4, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(module(x), by_the_paper(x, module, group_width))


def test_one_dimension_is_a_map_of_one_row() -> None:
    """On (N, C, L) it does what it does on (N, C, 1, L) with the middle row of its kernels."""
    line = randomised(Involution(8, ndim=1, kernel_size=3))
    plane = randomised(Involution(8, kernel_size=3))
    state = line.state_dict()
    state["reduce.weight"] = state["reduce.weight"].unsqueeze(3)
    for name in ("span.weight", "span.bias"):
        wide = torch.zeros_like(plane.state_dict()[name]).reshape(-1, 9, *state[name].shape[1:2])
        wide[:, 3:6] = state[name].reshape(-1, 3, *state[name].shape[1:2])
        state[name] = wide.reshape(plane.state_dict()[name].shape)
    plane.load_state_dict(state)
    x = torch.randn(2, 8, 9, dtype=torch.float64)
    torch.testing.assert_close(line(x), plane(x.unsqueeze(2)).squeeze(2))


@pytest.mark.parametrize("is_training", [False, True])
def test_gradient_is_that_of_differences(is_training: bool) -> None:
    """First and second gradients agree with finite differences, with a mask as well."""
    module = randomised(Involution(2, ndim=1, kernel_size=3, min_hidden=2)).train(is_training)
    x = torch.randn(2, 2, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradgradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, mask), (x,))


@pytest.mark.parametrize(("channels", "groups"), [(8, 1), (16, 1), (64, 4), (24, 3)])
def test_narrow_maps_share_narrower_kernels(channels: int, groups: int) -> None:
    """Kernels are shared by 16 channels, or by as many as divide both 16 and C."""
    assert Involution(channels).groups == groups


@pytest.mark.parametrize(
    ("channels", "options", "width"), [(8, {}, 8), (64, {}, 16), (8, {"min_hidden": 1}, 2)]
)
def test_hidden_width_has_a_floor(channels: int, options: dict[str, int], width: int) -> None:
    """The hidden layer is C // 4 wide, and never narrower than the floor."""
    assert Involution(channels, **options).reduce.out_channels == width


def test_attention_map_is_the_sum_of_the_kernel() -> None:
    """On a map of ones, inside, the output is the sum of the kernel."""
    module = Involution(16, kernel_size=3).eval()
    x = torch.ones(1, 16, 5, 5)
    inside = module(x)[:, 0, 1:-1, 1:-1]
    torch.testing.assert_close(module.attention_map(x).spatial[:, 1:-1, 1:-1], inside)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 4}, "kernel_size is 4, but must be an odd whole number"),
        ({"reduction": 0}, "reduction is 0, but must be a whole number"),
        ({"group_channels": 0.5}, "group_channels is 0.5, but must be a whole number"),
        ({"min_hidden": None}, "min_hidden is None, but must be a whole number"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """Each option is checked, and the message names it."""
    with pytest.raises(InvalidValue, match=f"Involution: {message}"):
        Involution(64, **options)  # type: ignore[arg-type]  # what is tested


@torch.no_grad()
def test_several_sets_of_parameters_run_at_once() -> None:
    """Torch's vmap over parameters gives what each set gives alone."""
    modules = [randomised(Involution(4, ndim=1, kernel_size=3)).eval() for _ in range(2)]
    modules[1].span.weight.mul_(2)
    sets = [dict(module.named_parameters()) for module in modules]
    stacked = {name: torch.stack([each[name] for each in sets]) for name in sets[0]}
    x = torch.randn(2, 4, 5, dtype=modules[0].span.weight.dtype)
    found = vmap(lambda parameters: functional_call(modules[0], parameters, (x,)))(stacked)
    torch.testing.assert_close(found, torch.stack([module(x) for module in modules]))

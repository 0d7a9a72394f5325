"""SecondOrderPooling against its formula in loops."""

from __future__ import annotations

import pytest
import torch
from zoo_attention.channel.gsop import SecondOrderPooling

from zoo import InvalidValue

MASK = torch.tensor([[True, True, True, False], [True, True, False, False]])


def randomize(module: SecondOrderPooling) -> SecondOrderPooling:
    """Return the module in float64 and eval mode with random weights and statistics."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
        for buffer in module.buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.2, 1.0)
    return module.double().eval()


def normal(values: torch.Tensor, norm: torch.nn.BatchNorm1d) -> torch.Tensor:
    """Return values (c, ...) as a batch norm in eval mode gives them."""
    state = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    mean, variance, weight, bias = (s[:, None] for s in state)
    return (values - mean) / (variance + norm.eps).sqrt() * weight + bias


def by_the_paper(x: torch.Tensor, module: SecondOrderPooling) -> torch.Tensor:
    """Reduce, pool and embed, sample by sample and row by row."""
    y = torch.empty_like(x)
    for n in range(x.shape[0]):
        flat = x[n].flatten(1)  # (C, P)
        flat = flat.clamp(min=0) if module.use_input_relu else flat
        u = module.reduce.weight[..., 0] @ flat + module.reduce.bias[:, None]
        u = normal(u, module.norm).clamp(min=0)  # (c, P)
        size, number = u.shape
        covariance = torch.zeros(size, size, dtype=x.dtype)
        for i in range(size):
            for j in range(size):
                pairs = zip(u[i] - u[i].mean(), u[j] - u[j].mean(), strict=True)
                covariance[i, j] = sum(a * b for a, b in pairs) / number
        rows, v = normal(covariance, module.row_norm), []
        for i in range(size):
            for k in range(4):
                v.append(module.rows.weight[4 * i + k, 0] @ rows[i] + module.rows.bias[4 * i + k])
        if module.use_activation:
            v = [a if a > 0 else 0.1 * a for a in v]
        logits = module.expand.weight @ torch.stack(v) + module.expand.bias
        y[n] = x[n] * (1 / (1 + torch.exp(-logits)))[:, None, None]
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the module, the shape of a sample, the slow formula."""
    module = SecondOrderPooling(4, size=3)
    return module, (4, 3, 2), lambda x: by_the_paper(x, module)


@pytest.mark.parametrize("option", ["use_activation", "use_input_relu"])
@pytest.mark.parametrize("is_on", [False, True])
def test_follows_the_formula(option: str, is_on: bool) -> None:
    """The output is that of the equations, with fewer channels inside or with as many."""
    for size in (3, 128):
        module = randomize(SecondOrderPooling(5, size=size, **{option: is_on}))
        x = torch.randn(2, 5, 3, 2, dtype=torch.float64)
        torch.testing.assert_close(module(x).detach(), by_the_paper(x, module).detach())


@pytest.mark.parametrize("is_training", [False, True])
def test_gradient_is_that_of_differences(is_training: bool) -> None:
    """Gradients agree with finite differences, with a mask as well."""
    module = randomize(SecondOrderPooling(3, ndim=1)).train(is_training)
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradcheck(lambda x: module(x, MASK), (x,))


@pytest.mark.parametrize(("channels", "size"), [(8, 8), (128, 128), (256, 128)])
def test_covariances_are_never_wider_than_the_map(channels: int, size: int) -> None:
    """Covariances are taken of 128 channels, or of all where there are fewer."""
    assert SecondOrderPooling(channels).reduce.out_channels == size


def test_a_sample_without_real_positions_teaches_nothing() -> None:
    """In training an empty sample leaves the norms and its neighbours alone."""
    x = torch.randn(3, 4, 5, dtype=torch.float64)
    mask = torch.ones(3, 5, dtype=torch.bool)
    mask[2] = False
    module, other = (randomize(SecondOrderPooling(4, ndim=1)).train() for _ in range(2))
    torch.testing.assert_close(module(x, mask)[:2], other(x[:2]))
    torch.testing.assert_close(module.state_dict(), other.state_dict())


def test_attention_map_is_the_gate() -> None:
    """The output is the input times the map."""
    module = randomize(SecondOrderPooling(8))
    x = torch.randn(2, 8, 4, 3, dtype=torch.float64)
    torch.testing.assert_close(module(x), x * module.attention_map(x).channel[..., None, None])


def test_refuses_bad_options() -> None:
    """The size is a whole number, each flag a flag."""
    with pytest.raises(InvalidValue, match="SecondOrderPooling: size is 0, but must be a whole"):
        SecondOrderPooling(8, size=0)
    with pytest.raises(InvalidValue, match="use_activation is 1, but must be True or False"):
        SecondOrderPooling(8, use_activation=1)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(InvalidValue, match="use_input_relu is 1, but must be True or False"):
        SecondOrderPooling(8, use_input_relu=1)  # type: ignore[arg-type]  # what is tested

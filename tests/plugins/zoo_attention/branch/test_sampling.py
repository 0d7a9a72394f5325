"""Convolution with a kernel a sample against one convolution after the other."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from zoo_attention.branch.dynamic_conv import DynamicConv
from zoo_attention.branch.odconv import OmniDimensionalConv
from zoo_attention.branch.sampling import Tempered, convolve


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("is_last", [False, True])
def test_equals_one_convolution_a_sample(groups: int, is_last: bool) -> None:
    """Each sample meets its own kernel and bias only, in either memory layout."""
    torch.manual_seed(0)
    x = torch.randn(3, 4, 5, 6)
    weight, bias = torch.randn(3, 4, 4 // groups, 3, 3), torch.randn(3, 4)
    expected = [
        functional.conv2d(*each, padding=1, groups=groups)
        for each in zip(x, weight, bias, strict=True)
    ]
    x = x.contiguous(memory_format=torch.channels_last) if is_last else x
    torch.testing.assert_close(convolve(x, weight, bias, groups=groups), torch.stack(expected))


def test_a_new_temperature_needs_no_new_program() -> None:
    """A program that was traced before the temperature changed serves after it."""

    class Cool(Tempered):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / self.temperature

    torch._dynamo.reset()
    module: nn.Module = Cool(2.0)
    program = torch.compile(module, backend="eager", fullgraph=True)
    assert program(torch.ones(())) == 0.5
    module.set_temperature(4.0)
    with torch.compiler.set_stance("fail_on_recompile"):
        assert program(torch.ones(())) == 0.25


@pytest.mark.parametrize("module", [DynamicConv, OmniDimensionalConv])
def test_takes_the_memory_format_of_a_network(module: type[nn.Module]) -> None:
    """A module moved to channels_last, as a network is for training, gives the same numbers."""
    conv = module(8)
    x = torch.randn(2, 8, 5, 6)
    expected = conv(x)
    last = conv.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected)

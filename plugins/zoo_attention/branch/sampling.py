"""Convolution with a kernel of its own for each sample, and the temperature of the softmax that mixes it."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo import InvalidValue
from zoo_attention.checks import check_construction, check_integer, check_odd, check_positive


class Tempered(nn.Module):
    """A module with a temperature, which divides scores before a softmax or sigmoid.

    It is a buffer: part of the state that is saved and loaded, so that a model gives the numbers that it was
    saved with; the same in training and eval; and no compiled program must be made anew when it changes.
    """

    temperature: Tensor

    def __init__(self, temperature: float) -> None:
        super().__init__()
        check_positive(self, "temperature", temperature)
        self.register_buffer("temperature", torch.tensor(float(temperature)))

    def set_temperature(self, temperature: float) -> None:
        """Set the temperature, above 0, from now on.

        Nothing else changes it, `zoo train` neither. A training that anneals it calls this once a step or
        epoch; in the papers it falls from 30 to 1, linearly, over the first 10 epochs.

        Raises:
            InvalidValue: It is no finite number above 0.
        """
        check_positive(self, "temperature", temperature)
        self.temperature.fill_(temperature)


class MixedKernels(Tempered):
    """A module with several kernels, of which each sample gets a mixture.

    Args:
        channels: Number of channels C, a multiple of `groups`.
        ndim: Number of spatial dimensions, 1 or 2.
        num_kernels: Number of kernels K, at least 1.
        kernel_size: Side of the kernels, odd.
        groups: Number of groups of the convolution, at least 1.
        temperature: What scores are divided by at first, above 0.

    Raises:
        InvalidValue: A value is of the wrong type or out of its range, or `channels` is no multiple of
            `groups`.
    """

    conformance_exceptions: ClassVar = {
        "onnx": "ONNX has no convolution whose number of groups depends on the size of the batch."
    }

    def __init__(
        self,
        channels: int,
        *,
        ndim: int,
        num_kernels: int,
        kernel_size: int,
        groups: int,
        temperature: float,
    ) -> None:
        super().__init__(temperature)
        check_construction(self, channels, ndim)
        check_integer(self, "num_kernels", num_kernels)
        check_odd(self, "kernel_size", kernel_size)
        check_integer(self, "groups", groups)
        if channels % groups:
            raise InvalidValue(
                f"{type(self).__name__}: channels is {channels}, but must be a multiple of {groups}, groups."
            )
        self.channels = channels
        self.ndim = ndim
        self.groups = groups
        self.shape = (channels, channels // groups, *[kernel_size] * ndim)
        size = math.prod(self.shape[1:])
        self.bound = size**-0.5  # as torch's convolutions
        # Of three axes: `Module.to` with a memory format refuses parameters of five.
        weight = torch.empty(num_kernels, channels, size).uniform_(-self.bound, self.bound)
        self.weight = nn.Parameter(weight)

    @property
    def kernels(self) -> Tensor:
        """The kernels, (K, C, C / groups, *kernel)."""
        return torch.unflatten(self.weight, 2, self.shape[1:])

    def mix(self, shares: Tensor) -> Tensor:
        """Return the mixture of kernels for shares (N, K), (N, C, C / groups, *kernel)."""
        mixture = shares.to(self.weight.dtype) @ self.weight.flatten(1)
        return torch.unflatten(mixture, 1, self.shape)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, *, groups: int) -> Tensor:
    """Return the convolution of each sample with its kernel, of the size of x.

    Args:
        x: (N, C, *spatial).
        weight: (N, C, C / groups, *kernel), odd sides.
        bias: (N, C), or none.
        groups: Number of groups of channels.
    """
    number = x.shape[0]
    if number == 0:  # a convolution has one group at least
        return x
    conv = functional.conv1d if x.ndim == 3 else functional.conv2d
    wide = x.reshape(1, -1, *x.shape[2:])  # all samples side by side, as groups of one convolution
    padding = [side // 2 for side in weight.shape[3:]]
    flat = None if bias is None else bias.flatten().to(x.dtype)
    y = conv(wide, weight.flatten(0, 1).to(x.dtype), flat, padding=padding, groups=groups * number)
    return y.reshape(x.shape)

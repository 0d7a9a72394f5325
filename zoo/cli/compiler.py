"""Whether torch.compile works on this machine: said before anything is measured or trained with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.errors import InvalidValue, first_line

if TYPE_CHECKING:
    import torch


def check_compiler(device: torch.device) -> None:
    """Compile something small.

    Raises:
        InvalidValue: It cannot be compiled.
    """
    import torch

    try:
        torch.compile(lambda x: x + 1)(torch.ones(8, device=device))
    except Exception as error:
        raise InvalidValue(
            f"--compile: torch.compile does not work on this machine ({first_line(error)}). It needs a C++ compiler "
            "(for GPUs Triton); install one, or leave --compile out."
        ) from error

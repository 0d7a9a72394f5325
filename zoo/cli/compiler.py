"""Whether torch.compile works on this machine: said before anything is measured or trained with it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
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
        with _no_word_of_cuda():
            torch.compile(lambda x: x + 1)(torch.ones(8, device=device))
    except Exception as error:
        raise InvalidValue(
            f"--compile: torch.compile does not work on this machine ({first_line(error)}). It needs a C++ compiler "
            "(for GPUs Triton); install one, or leave --compile out."
        ) from error


@contextmanager
def _no_word_of_cuda() -> Iterator[None]:
    """Hold back that CUDA is installed on a machine without a GPU, which torch says when it first compiles."""
    logger = logging.getLogger("torch.utils.cpp_extension")
    logger.addFilter(_is_other)
    try:
        yield
    finally:
        logger.removeFilter(_is_other)


def _is_other(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("No CUDA runtime is found")

"""Whether torch.compile works here, found out without a word of what is not asked for."""

from __future__ import annotations

import logging

import pytest
import torch

from zoo.cli.compiler import check_compiler
from zoo.errors import InvalidValue

LOGGER = logging.getLogger("torch.utils.cpp_extension")


def test_a_machine_with_cuda_and_no_gpu_is_not_warned_of_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """That one line is held back, and only while something is compiled; any other is not."""

    def compiled(function: object) -> object:
        LOGGER.warning("No CUDA runtime is found, using CUDA_HOME='%s'", "/usr/local/cuda")
        LOGGER.warning("Something else")
        return function

    monkeypatch.setattr(torch, "compile", compiled)
    check_compiler(torch.device("cpu"))
    assert caplog.messages == ["Something else"]
    compiled(None)
    assert len(caplog.messages) == 3


def test_what_cannot_be_compiled_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line of the reason is enough."""

    def refuse(_function: object) -> object:
        raise RuntimeError("no g++\nand much more")

    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.raises(
        InvalidValue, match=r"\(RuntimeError: no g\+\+\)\. It needs a C\+\+ compiler"
    ):
        check_compiler(torch.device("cpu"))

"""Making a process ready to compute for long: memory that is kept, subnormals that are zero, threads."""

from __future__ import annotations

from argparse import ArgumentParser

from zoo.errors import InvalidValue


def add_threads(parser: ArgumentParser) -> None:
    """Add the option that `prepare_processor` takes."""
    parser.add_argument("--threads", type=int, metavar="N", help="of the CPU (default: all cores)")


def prepare_processor(threads: int | None) -> bool:
    """Set up this process before torch starts its threads.

    Args:
        threads: Of the CPU; None leaves torch its own number.

    Returns:
        Whether large blocks of memory are kept, which only glibc can.

    Raises:
        InvalidValue: Fewer threads than 1 were asked.
    """
    import torch

    from zoo.train.allocator import keep_large_blocks
    from zoo.train.subnormals import flush_subnormals

    if threads is not None and threads < 1:
        raise InvalidValue(f"--threads is {threads}; give at least 1.")
    flush_subnormals()
    if threads is not None:
        torch.set_num_threads(threads)
    return keep_large_blocks()

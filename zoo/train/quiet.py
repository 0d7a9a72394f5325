"""Lightning without its chatter, for the time of a training."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# What Lightning warns of that is on purpose here.
_EXPECTED_WARNINGS = (
    # The data lie in memory; workers would only copy them.
    ".*does not have many workers.*",
    # A small data set has few batches.
    ".*The number of training batches .* is smaller than the logging interval.*",
    # A run that is resumed has its folder.
    ".*Checkpoint directory .* exists and is not empty.*",
    # A run's folder may be moved; of its checkpoints there is one, whose name is known.
    "The dirpath has changed from .*",
    # Norms whose weights are frozen keep their statistics.
    ".*in eval mode at the start of training.*",
    # Figures are summed over the processes before they are logged.
    ".*It is recommended to use `self.log.*sync_dist=True.*",
    # Lightning calls parts of torch by their old names.
    ".*isinstance\\(treespec, LeafSpec\\).*",
)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Hold back Lightning's advertisements and what it warns of that is on purpose; leave the rest."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in _EXPECTED_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

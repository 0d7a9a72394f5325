"""Lightning without its chatter, for the time of a training."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# What Lightning warns of that is on purpose here. The data lie in memory, so that workers would only copy
# them. A small data set has few batches. The folder is there on purpose. Norms whose
# weights are frozen keep their statistics. A run's folder may be moved; of its checkpoints there is one, whose
# name is known. Figures are summed over the processes before they are logged. And
# Lightning calls parts of torch by their old names.
_EXPECTED_WARNINGS = (
    ".*does not have many workers.*",
    ".*The number of training batches .* is smaller than the logging interval.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    "The dirpath has changed from .*",
    ".*in eval mode at the start of training.*",
    ".*It is recommended to use `self.log.*sync_dist=True.*",
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

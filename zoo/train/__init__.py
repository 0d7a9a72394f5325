"""Training: recipes as data, data modules in memory, and a Lightning module around a model.

Lightning (extra `train`) does the loop, devices, precision, checkpoints and resuming; here is what it is
given. Nothing of this is imported before it is used.
"""

from __future__ import annotations

from zoo.errors import MissingExtra


def require_lightning() -> None:
    """See that Lightning is installed.

    Raises:
        MissingExtra: It is not; the message says how to get it.
    """
    try:
        import lightning.pytorch  # noqa: F401 - whether it is there is the question
    except ImportError as error:
        raise MissingExtra(
            "Training needs Lightning. Install it: pip install 'attn-zoo[train]'"
        ) from error

"""A moving average of the weights, which often generalises better than the weights of the last step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Callback
from torch import Tensor, nn


class MovingAverage(Callback):
    """Keep `decay * average + (1 - decay) * weights` after every step; it is what is validated.

    In the first steps the decay is smaller, (1 + step) / (10 + step), so that the random weights of the start
    are soon forgotten. Buffers that are numbers, as the statistics of norms, are averaged, too.

    Args:
        model: Whose weights.
        decay: In (0, 1).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay, self.steps = model, decay, 0
        self.average = {name: value.clone() for name, value in _floating(model).items()}
        # The weights, while the average is in their place.
        self._own: dict[str, Tensor] | None = None

    def state_dict(self) -> dict[str, Any]:
        """What the checkpoint keeps of this."""
        return {"average": self.average, "steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what a checkpoint kept."""
        self.average, self.steps = dict(state_dict["average"]), state_dict["steps"]

    @torch.no_grad()
    def on_train_batch_end(self, *_: Any) -> None:
        """Move the average towards the weights of this step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        weights = _floating(self.model)
        self.average = {
            name: value.to(weights[name].device) for name, value in self.average.items()
        }
        torch._foreach_lerp_(  # one call for all tensors
            list(self.average.values()), [weights[name] for name in self.average], 1 - decay
        )

    def on_validation_start(self, *_: Any) -> None:
        """Put the average in the place of the weights."""
        self._own = {name: value.clone() for name, value in _floating(self.model).items()}
        _assign(self.model, self.average)

    def on_validation_end(self, *_: Any) -> None:
        """Put the weights back."""
        if self._own is not None:
            _assign(self.model, self._own)
            self._own = None

    def on_exception(self, *_: Any) -> None:
        """Put the weights back where a validation is broken off."""
        self.on_validation_end()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The average in the place of the weights, for as long as this lasts."""
        self.on_validation_start()
        try:
            yield
        finally:
            self.on_validation_end()


def _floating(model: nn.Module) -> dict[str, Tensor]:
    state = model.state_dict()
    return {name: value for name, value in state.items() if value.is_floating_point()}


@torch.no_grad()
def _assign(model: nn.Module, values: dict[str, Tensor]) -> None:
    for name, value in _floating(model).items():
        value.copy_(values[name])

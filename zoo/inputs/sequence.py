"""Sequences of vectors: taken as they are, once their shape was checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import InvalidValue
from zoo.spec import SequenceInput


class SequenceTransform:
    """Turns an array (channels, L) into a float32 tensor of that shape."""

    def __init__(self, spec: SequenceInput) -> None:
        self.spec = spec

    def __call__(self, sample: Any) -> Tensor:
        """Return the sample as a tensor.

        Raises:
            InvalidValue: It is no array of numbers of that shape.
        """
        try:
            tensor = (
                sample.detach().to("cpu", torch.float32)
                if isinstance(sample, Tensor)
                else torch.from_numpy(np.array(sample, dtype=np.float32))
            )
        except (TypeError, ValueError, RuntimeError) as error:
            raise InvalidValue(
                f"A sequence is an array of numbers; got {type(sample).__name__}: {error}"
            ) from None
        if tensor.ndim != 2 or tensor.shape[0] != self.spec.channels:
            raise InvalidValue(
                f"The model takes ({self.spec.channels}, length); got an array of shape {tuple(tensor.shape)}."
            )
        return tensor

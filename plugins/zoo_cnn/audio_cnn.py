"""Audio-CNN: a residual network on the log-mel spectrogram that it makes of a waveform.

Paper    Hershey et al., "CNN Architectures for Large-Scale Audio Classification", ICASSP 2017, arXiv 1609.09430
Formula  y = attn_cnn(log_mel(x)), over (mel, time), or over time with the mel bands as channels
Shapes   x (N, in_channels, T) samples -> ndim 2: (N, widths[-1], num_mels / 2^(stages - 1), F / 2^(stages - 1)),
         ndim 1: (N, widths[-1], F / 2^(stages - 1)), with F = T / hop; every division rounded up
Cost     that of attn_cnn for F frames, and an FFT a frame
Differs  `attn_cnn` for the paper's ResNet-50; clips of any length, normalised one by one
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from zoo import InvalidValue, Slot

from .attn_cnn import AttentionCNN
from .log_mel import LogMel


class AudioCNN(nn.Module):
    """Residual CNN over a log-mel spectrogram.

    Args:
        in_channels: Channels of the waveform.
        ndim: 2 for a map over (mel, time), 1 for a map over time.
        sample_rate: In Hz; that of the model's input.
        window_ms: Length of a frame, in milliseconds.
        hop_ms: From a frame to the next, in milliseconds.
        num_mels: Bands of the spectrogram.
        widths: Channels of each stage.
        depths: Blocks of each stage; one number for all of them.

    Raises:
        InvalidValue: An option is out of its range.
    """

    input_kinds = ("audio",)

    def __init__(
        self,
        in_channels: int,
        *,
        ndim: int = 2,
        sample_rate: int = 16_000,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        num_mels: int = 64,
        widths: Sequence[int] = (32, 64, 128),
        depths: Sequence[int] | int = 2,
    ) -> None:
        super().__init__()
        if ndim not in (1, 2):
            raise InvalidValue(
                f"audio_cnn: ndim is {ndim!r}; give 1 for time or 2 for (mel, time)."
            )
        self.ndim, self.sample_rate = ndim, sample_rate
        self.log_mel = LogMel(
            sample_rate=sample_rate, window_ms=window_ms, hop_ms=hop_ms, num_mels=num_mels
        )
        channels = in_channels if ndim == 2 else in_channels * num_mels
        self.cnn = AttentionCNN(channels, ndim=ndim, widths=widths, depths=depths)
        self.num_features = self.cnn.num_features

    @classmethod
    def default_input(cls, *, sample_rate: int = 16_000, **_options: Any) -> dict[str, Any]:
        """Ask for one channel of sound at the sample rate that it is built for."""
        return {"kind": "audio", "sample_rate": sample_rate}

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map samples (N, in_channels, T), and their mask (N, T), to the last map."""
        return self.forward_stages(x, mask)[-1]

    def forward_stages(self, x: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """Return the map of every stage."""
        y = self.log_mel(x, mask)  # (N, in_channels, num_mels, F)
        if self.ndim == 1:
            y = y.flatten(1, 2)  # (N, in_channels num_mels, F)
        return self.cnn.forward_stages(y, None if mask is None else self._frames(mask))

    def downsample_mask(self, mask: Tensor) -> Tensor:
        """The mask at the last map, for `mask` (N, T) of the samples."""
        return self.cnn.downsample_mask(self._frames(mask))

    def slots(self) -> list[Slot]:
        """List the slots of the residual network: `conv`, `branch`, `block` and `stage`."""
        return [replace(slot, path=f"cnn.{slot.path}") for slot in self.cnn.slots()]

    def _frames(self, mask: Tensor) -> Tensor:
        mask = self.log_mel.downsample_mask(mask)  # (N, F)
        if self.ndim == 1:
            return mask
        return mask.unsqueeze(1).expand(-1, self.log_mel.num_mels, -1)  # (N, num_mels, F)

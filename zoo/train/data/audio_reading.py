"""Sounds: WAV files as waveforms at the rate and with the channels that a model asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from torch import Tensor

from zoo.errors import InvalidValue, are, counted, some
from zoo.inputs.audio import AudioTransform
from zoo.inputs.wav import read_wav
from zoo.spec import AudioInput
from zoo.train.data.dataset import input_block
from zoo.train.data.listing import Listing
from zoo.train.data.reading import Finished
from zoo.train.data.splits import SequenceSplit

_PROBED = 20  # files that tell the sample rate, where the model asks for none


class AudioReader:
    """Reads sounds as `model.transform()` gives them.

    Args:
        listing: The data set.
        asked: Fields that the input block has already; a missing sample rate is that of most of 20
            files, drawn with one seed from the whole list: its first are often of one class or speaker.
    """

    def __init__(self, listing: Listing, asked: Mapping[str, Any]) -> None:
        found: dict[str, Any] = {"kind": "audio"}
        if "sample_rate" not in asked:
            found["sample_rate"] = _usual_rate(listing)
        source = input_block(asked, found)
        if not isinstance(source, AudioInput):
            raise InvalidValue(f"{listing.name}: an input of kind {source.kind!r} is no sound.")
        self.source = source
        self.transform = AudioTransform(source)
        self.rates: list[int] = []  # of the files that were read, in whatever order
        self.silent: list[str] = []  # likewise
        self.notes: list[str] = []

    def read(self, content: bytes, name: str) -> Tensor:
        """Return a waveform (channels, T)."""
        array, rate = read_wav(content, name)
        self.rates.append(rate)
        waveform = self.transform((array, rate))
        if not waveform.any():
            self.silent.append(name)
        return waveform

    def finish(
        self, samples: Sequence[Tensor], labels: Tensor, parts: Mapping[str, list[int]]
    ) -> Finished:
        """Put the sounds of each split end to end."""
        wanted = self.source.sample_rate
        other = Counter(rate for rate in self.rates if rate != wanted)
        if other:
            rates = ", ".join(f"{count} of {rate} Hz" for rate, count in sorted(other.items()))
            self.notes.append(f"sounds are resampled to {wanted} Hz: {rates}")
        if self.silent:
            count = len(self.silent)
            names = some(sorted(self.silent))
            self.notes.append(
                f"{counted(count, 'sound')} {are(count)} silent, as far as the model hears them: {names}"
            )
        splits = {
            split: SequenceSplit.pack([samples[at] for at in chosen], labels[chosen])
            for split, chosen in parts.items()
        }
        return Finished(dict(splits), self.source)


def _usual_rate(listing: Listing) -> int:
    rates: Counter[int] = Counter()
    count = min(_PROBED, len(listing.items))
    probed = Random(0).sample(listing.items, count)  # noqa: S311 - no secret
    for item in probed:
        try:
            rates[read_wav(item.read(), item.name)[1]] += 1
        except (InvalidValue, OSError):
            continue  # told when all are read
    if not rates:
        raise InvalidValue(f"{listing.name}: none of {counted(count, 'file')} tried is a sound.")
    return rates.most_common(1)[0][0]

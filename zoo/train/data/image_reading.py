"""Images: files brought to one size and mode, as pixels from 0 to 255."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from PIL import ExifTags, Image
from torch import Tensor

from zoo.errors import InvalidValue, are, counted, some
from zoo.inputs.image import QUIET, ImageTransform
from zoo.spec import ImageInput
from zoo.train.data.dataset import image_fields, input_block
from zoo.train.data.listing import Listing
from zoo.train.data.reading import Finished
from zoo.train.data.splits import ImageSplit, Split

_PART = 256  # images that are moved at once
_GREY = ("1", "L", "LA", "I;16", "I;16B", "I")
_LYING = (5, 6, 7, 8)  # orientations whose height is stored as width


class ImageReader:
    """Reads images as `model.transform()` does, short of the normalisation.

    Where the model asks for no size, images have to be of one; where it asks for no channels, they are grey
    if all files are.

    Args:
        listing: The data set.
        asked: Fields that the input block has already.
    """

    def __init__(self, listing: Listing, asked: Mapping[str, Any]) -> None:
        modes: Counter[str] = Counter()
        coloured: list[str] = []
        sizes: Counter[tuple[int, int]] = Counter()
        for item in listing.items:
            source = io.BytesIO(item.content) if isinstance(item.content, bytes) else item.content
            # One that is damaged is told when all are read; PIL's decoders raise whatever comes to hand.
            with suppress(Exception), Image.open(source) as image:
                modes[image.mode] += 1
                coloured += [] if image.mode in _GREY else [item.name]
                sizes[_upright_size(image)] += 1
        self.asked = {name: value for name, value in asked.items() if value is not None}
        if "size" not in self.asked:
            if len(sizes) > 1:
                raise InvalidValue(
                    f"{listing.name}: images are of {len(sizes)} sizes ({_extent(sizes)}); say one for all, e.g. by "
                    "'image(size=[64, 64]) -> ' in front of a spec in the short form, or by the block 'input: {kind: "
                    "image, size: [64, 64]}'."
                )
            self.asked["size"] = list(next(iter(sizes), (1, 1)))
        grey = bool(modes) and not coloured
        found = {"kind": "image", "channels": 1 if grey else 3}
        source_block = input_block(self.asked, found)
        if not isinstance(source_block, ImageInput):
            raise InvalidValue(
                f"{listing.name}: an input of kind {source_block.kind!r} is no image."
            )
        self.source = source_block
        self.transform = ImageTransform(source_block)
        self.notes = list(_changes(source_block, modes, sizes, coloured))
        _check_memory(listing, source_block)

    def read(self, content: bytes, name: str) -> np.ndarray:
        """Return the pixels (H, W, C) of an image file."""
        return self.transform.decode(content, name)

    def finish(
        self, samples: Sequence[np.ndarray], labels: Tensor, parts: Mapping[str, list[int]]
    ) -> Finished:
        """Put the images of each split together, and measure those of train."""
        splits: dict[str, ImageSplit] = {}
        for split, chosen in parts.items():
            images = _together([samples[at] for at in chosen])
            splits[split] = ImageSplit(images, labels[chosen])
        found = {**image_fields(splits["train"].images), "channels": self.source.channels}
        merged: dict[str, Split] = dict(splits)
        return Finished(merged, input_block(self.asked, found))


def _together(samples: Sequence[np.ndarray]) -> Tensor:
    """One tensor (N, C, H, W) of images (H, W, C); a part at a time, so that no second copy of all is made."""
    height, width, channels = samples[0].shape if samples else (1, 1, 1)
    images = torch.empty((len(samples), channels, height, width), dtype=torch.uint8)
    for start in range(0, len(samples), _PART):
        part = np.stack(samples[start : start + _PART])
        images[start : start + _PART] = torch.from_numpy(part).permute(0, 3, 1, 2)
    return images


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Height and width of an image that `decode` has turned as its camera noted."""
    if image.format == "TIFF":  # whose size is that of the image turned
        return image.height, image.width
    with QUIET:
        # Not by the format's own method: that of PNG reads all pixels, to look for a note behind them.
        orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation)
    return (image.width, image.height) if orientation in _LYING else (image.height, image.width)


def _changes(
    source: ImageInput,
    modes: Counter[str],
    sizes: Counter[tuple[int, int]],
    coloured: Sequence[str],
) -> Sequence[str]:
    """Say that images are resized or converted, where they are."""
    notes = []
    if source.size is not None and any(size != source.size for size in sizes):
        height, width = source.size
        other = sum(count for size, count in sizes.items() if size != source.size)
        notes.append(
            f"{counted(other, 'image')} of other sizes ({_extent(sizes)}) {are(other)} resized and "
            f"cropped to {width}x{height}"
        )
    if source.channels == 1 and coloured:
        notes.append(
            f"{counted(len(coloured), 'image')} stored in colour {are(len(coloured))} made grey, for a model of one channel: "
            f"{some(coloured)}"
        )
    elif len(modes) > 1:
        mixed = ", ".join(f"{count} {mode}" for mode, count in modes.most_common())
        notes.append(f"images of several modes ({mixed}) become {source.channels} channels each")
    return notes


def _check_memory(listing: Listing, source: ImageInput) -> None:
    """See that all images together fit into the machine's memory."""
    height, width = source.size or (1, 1)
    needed = 2 * len(listing.items) * source.channels * height * width  # read, then put together
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise InvalidValue(
            f"{listing.name}: {len(listing.items):,} images of {width}x{height} need {needed / 10**9:.0f} GB of memory; "
            f"this machine has {there / 10**9:.0f}. Say a smaller size in the spec's input block."
        )


def _extent(sizes: Counter[tuple[int, int]]) -> str:
    areas = sorted(sizes, key=lambda size: size[0] * size[1])
    first, last = areas[0], areas[-1]
    smallest = f"{first[1]}x{first[0]}"
    return smallest if first == last else f"{smallest} to {last[1]}x{last[0]}"

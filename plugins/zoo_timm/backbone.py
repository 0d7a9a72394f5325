"""Any timm architecture as a backbone.

Source   the library timm; each architecture's own paper is in its documentation there
Shapes   x (N, in_channels, H, W) -> (N, num_features, H', W'), whatever layout timm computes in
Differs  only the part up to the last map is kept; pooling and classifier are handed out by `native_head`
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import get_ident
from typing import Any, Literal

import timm
import torch
from torch import Tensor, nn

from zoo import InvalidValue, Slot
from zoo_timm import weights
from zoo_timm.discovery import Findings, discover
from zoo_timm.layouts import as_map
from zoo_timm.names import check_name, pretrained_config
from zoo_timm.parts import TimmHead, head_of, mark_before_drops, pools_maps, trunk_of


class TimmBackbone(nn.Module):
    """A timm model up to its last feature map.

    Args:
        in_channels: Channels of the image, at least 1.
        architecture: Its name in timm, e.g. `"resnet50"`, with or without a tag that says which
            pretrained weights, e.g. `"resnet50.a1_in1k"`.
        drop_path_rate: Probability in [0, 1) with which the last residual branch is left out in
            training; it grows linearly from 0 over the blocks. None: the architecture's own.
        output_stride: Pixels of the input to one of the last map, 8, 16 or 32: later strides become
            dilations. None: the architecture's own.
        img_size: Side in pixels of the images, for architectures that are made for one size.

    Attributes:
        ndim: 2.
        num_features: Channels of the last map.
        net: The timm model without its head; tensors have timm's own names in it.

    Raises:
        UnknownName: timm has no such architecture or tag.
        InvalidValue: The architecture does not take one of the options.
    """

    ndim = 2

    def __init__(
        self,
        in_channels: int,
        *,
        architecture: str,
        drop_path_rate: float | None = None,
        output_stride: int | None = None,
        img_size: int | None = None,
    ) -> None:
        super().__init__()
        check_name(architecture)
        given = {
            "drop_path_rate": drop_path_rate,
            "output_stride": output_stride,
            "img_size": img_size,
        }
        options = {name: value for name, value in given.items() if value is not None}
        self.architecture = architecture
        self.options = options
        model = _create(architecture, in_channels, options)
        self._whole: tuple[Any, ...] = (model,)  # in a tuple: not a part of this module
        self.num_features: int = model.num_features
        self.channels_last = getattr(model, "output_fmt", None) == "NHWC"
        self.num_prefix_tokens: int = getattr(model, "num_prefix_tokens", 0)
        self.net: Any = trunk_of(model)
        mark_before_drops(self.net)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, in_channels, H, W) to the last map (N, num_features, H', W')."""
        return self._as_map(self.net.forward_features(x), x)

    def forward_stages(self, x: Tensor) -> list[Tensor]:
        """Map images to one map a stage, in the order of the network."""
        maps: dict[str, Tensor] = {}
        # Other threads that run this network now come by these hooks, too. Compilers that trace them know no threads.
        thread = None if torch.compiler.is_compiling() else get_ident()
        handles = [
            self.net.get_submodule(path).register_forward_hook(_keep(maps, path, thread))
            for path in self.findings().stages
        ]
        try:
            self.net.forward_features(x)
        finally:
            for handle in handles:
                handle.remove()
        return [self._as_map(y, x) for y in maps.values()]

    def slots(self) -> list[Slot]:
        """The places where an attention can stand, found from a traced run."""
        return [replace(slot, path=f"net.{slot.path}") for slot in self.findings().slots]

    def set_grad_checkpointing(self, enable: bool = True) -> None:  # noqa: FBT001, FBT002 - timm's signature
        """Keep fewer activations in training, in the way that timm has for the architecture.

        Raises:
            InvalidValue: timm has none for it.
        """
        try:
            self.net.set_grad_checkpointing(enable)
        except (AttributeError, AssertionError) as error:
            raise InvalidValue(
                f"timm/{self.architecture} has no gradient checkpointing: {error}"
            ) from error

    def load_pretrained(self, source: bool | str) -> None:  # noqa: FBT001 - contract of a backbone
        """Load pretrained weights: True for those that timm names, else from a safetensors file or folder.

        Raises:
            WeightsError: There are none, they cannot be got, or they are of another model.
        """
        whole = self._take_whole()
        weights.load(whole, self.architecture, source, {"in_chans": whole.in_chans, **self.options})

    def native_head(self) -> tuple[nn.Module, nn.Module]:
        """Hand out timm's own pooling head and classifier, with their weights; once.

        Raises:
            InvalidValue: The architecture has no head on a feature map, or it was handed out already.
        """
        whole = self._take_whole()
        if self.num_prefix_tokens:
            raise InvalidValue(
                f"The head of timm/{self.architecture} takes a class token, not a map: choose another, e.g. 'avg'."
            )
        head, classifier = head_of(whole)
        tokens = not self.channels_last and not pools_maps(head) and self.findings().tokens
        self._whole = ()
        width = getattr(
            classifier, "in_features", getattr(whole, "head_hidden_size", self.num_features)
        )
        layout: Literal["NCHW", "NHWC", "NLC"] = (
            "NHWC" if self.channels_last else "NLC" if tokens else "NCHW"
        )
        return TimmHead(head, out_features=width, layout=layout), classifier

    def drop_native_head(self) -> None:
        """Let go of timm's own head, for a model that has another."""
        self._whole = ()

    @classmethod
    def default_input(
        cls, *, architecture: str, img_size: int | None = None, **_options: Any
    ) -> dict[str, Any]:
        """Return the input block of the images that an architecture was trained on.

        Raises:
            UnknownName: timm has no such architecture or tag.
        """
        config = pretrained_config(architecture)
        channels, *size = config.get("input_size", (3, 224, 224))
        return {
            "kind": "image",
            "channels": channels,
            "size": [img_size, img_size] if img_size is not None else size,
            "mean": list(config.get("mean", ())) or None,
            "std": list(config.get("std", ())) or None,
            "interpolation": "bicubic" if config.get("interpolation") == "bicubic" else "bilinear",
            "crop": config.get("crop_pct", 1.0),
        }

    def __getstate__(self) -> dict[str, Any]:
        """Copies do without the head that nobody took."""
        return {**self.__dict__, "_whole": ()}

    def _as_map(self, y: Any, x: Tensor) -> Tensor:
        return as_map(
            y,
            name=f"timm/{self.architecture}",
            image=(x.shape[-2], x.shape[-1]),
            channels_last=self.channels_last,
            prefix=self.num_prefix_tokens,
        )

    def _take_whole(self) -> Any:
        if not self._whole:
            raise InvalidValue(
                f"The head of timm/{self.architecture} was handed out already, or belongs to a copy."
            )
        return self._whole[0]

    def findings(self) -> Findings:
        """What a traced run shows: the slots, with paths in `net`, and where stages end."""
        return discover(self.net, self.architecture, self.options)


def _create(architecture: str, in_channels: int, options: dict[str, Any]) -> Any:
    try:
        with _quiet():
            model = timm.create_model(architecture, in_chans=in_channels, **options)
    except Exception as error:
        asked = ", ".join(
            f"{name}={value!r}" for name, value in {"in_channels": in_channels, **options}.items()
        )
        raise InvalidValue(f"timm/{architecture} cannot be built with {asked}: {error}") from error
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep timm from logging that an architecture has no pretrained weights when none are asked for."""
    logger = logging.getLogger("timm.models._builder")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _keep(maps: dict[str, Tensor], path: str, thread: int | None) -> Any:
    def hook(_module: nn.Module, _args: Any, result: Any) -> None:
        if thread is None or thread == get_ident():
            maps[path] = result if isinstance(result, Tensor) else result[0]

    return hook

"""The way back: `import zoo_timm.door`, and `timm.create_model` knows our variants.

    import timm, zoo_timm.door
    model = timm.create_model("attn_cnn_small", pretrained=True, num_classes=5)

timm keeps names with a slash for hubs and folders, so a variant is registered by its plain name. What else timm's
architectures take is refused, unless it is nothing: training scripts hand `drop_rate=0.0` to all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timm.models import is_model, register_model

import zoo

__all__: list[str] = []


def _register(name: str) -> None:
    def entrypoint(
        pretrained: bool = False,  # noqa: FBT001, FBT002 - timm's signature
        *,
        num_classes: int | None = None,
        features_only: bool = False,
        out_indices: Sequence[int] | int | None = None,
        in_chans: int | None = None,
        pretrained_cfg: object = None,
        pretrained_cfg_overlay: object = None,
        cache_dir: object = None,
        **options: Any,
    ) -> Any:
        overlays = {
            "pretrained_cfg": pretrained_cfg,
            "pretrained_cfg_overlay": pretrained_cfg_overlay,
            "cache_dir": cache_dir,
        }
        for argument, value in overlays.items():
            if value is not None:
                raise zoo.InvalidValue(
                    f"{name} is a variant of zoo, which keeps its own weights; leave {argument} out."
                )
        for option, value in options.items():
            if value not in (None, 0, False):
                raise zoo.InvalidValue(
                    f"{name} is a variant of zoo, whose spec says what it is made of; leave {option}={value!r} out, or "
                    "compose another model with zoo.compose."
                )
        model = zoo.create(name, pretrained=pretrained, num_classes=num_classes)
        channels = model.spec.input.channels
        if in_chans not in (None, channels):
            raise zoo.InvalidValue(
                f"{name} takes {channels} channels; in_chans={in_chans} would be another model. Compose it with zoo.compose."
            )
        if features_only:
            return model.features_only(out_indices)
        model.pretrained_cfg = model.default_cfg = _pretrained_cfg(model)  # type: ignore[assignment]  # timm reads it off the model
        return model

    entrypoint.__name__ = name
    register_model(entrypoint)


def _pretrained_cfg(model: zoo.Model) -> dict[str, Any]:
    """The preprocessing, in the form in which `timm.data.resolve_model_data_config` reads it."""
    block: Any = model.spec.input
    size = block.size or (224, 224)
    return {
        "input_size": (block.channels, *size),
        "mean": block.mean or (0.0,) * block.channels,
        "std": block.std or (1.0,) * block.channels,
        "interpolation": block.interpolation,
        "crop_pct": block.crop,
        "num_classes": model.num_classes,
        "classifier": "classifier",
    }


def _open() -> None:
    """Register every variant that takes images, under its plain name unless timm has that name."""
    for row in zoo.list_variants(ndim=2):
        name = row.ref.partition("@")[0]
        if not is_model(name):
            _register(name)


_open()

"""Every timm architecture as a backbone, under the name `timm/<architecture>[.<tag>]`."""

from __future__ import annotations

from zoo import Component, hookimpl


@hookimpl
def zoo_backbones() -> list[Component]:
    """Offer one name space: what stands after `timm/` is looked up in timm's own registry on use."""
    return [
        Component(
            name="timm/*",
            target="zoo_timm.backbone:TimmBackbone",
            summary="Any timm architecture, with its pretrained weights; its slots are found, not listed.",
            ndims=(2,),
            mask=False,
        )
    ]

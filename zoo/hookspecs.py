"""The hooks through which plug-ins, ours and everybody else's, offer what they have.

A hook module is imported by every `zoo` command: keep it light, and import torch only in the modules
that a component's `target` names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from zoo.component import Component
    from zoo.transports import Transport

hookspec = pluggy.HookspecMarker("zoo")
hookimpl = pluggy.HookimplMarker("zoo")


@hookspec
def zoo_backbones() -> list[Component]:  # type: ignore[empty-body]
    """Offer backbones: classes that turn an input into feature maps and list their slots."""


@hookspec
def zoo_attentions() -> list[Component]:  # type: ignore[empty-body]
    """Offer attentions: classes that map a feature map to one of the same shape."""


@hookspec
def zoo_heads() -> list[Component]:  # type: ignore[empty-body]
    """Offer pooling heads: classes that map a feature map to one vector a sample."""


@hookspec
def zoo_registries() -> list[str]:  # type: ignore[empty-body]
    """Offer registries: the paths or addresses of folders that hold a `registry.yaml`."""


@hookspec
def zoo_transports() -> list[Transport]:  # type: ignore[empty-body]
    """Offer transports: ways to reach registries under addresses of other schemes, such as `s3://`."""

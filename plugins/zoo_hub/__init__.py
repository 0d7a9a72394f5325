"""Registries in repositories of the Hugging Face hub: `hf://org/repo` or `hf://org/repo@revision`."""

from __future__ import annotations

from zoo import Transport, hookimpl


@hookimpl
def zoo_transports() -> list[Transport]:
    """Offer one class, through huggingface_hub."""
    return [
        Transport(
            schemes=("hf",),
            target="zoo_hub.place:HubPlace",
            summary="model repositories of the Hugging Face hub, to read from",
        )
    ]

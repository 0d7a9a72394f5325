"""Registries in object stores: `s3://bucket/folder`, `gs://bucket/folder`, `az://account/container/folder`."""

from __future__ import annotations

from zoo import Transport, hookimpl


@hookimpl
def zoo_transports() -> list[Transport]:
    """Offer one class for the three, through obstore."""
    return [
        Transport(
            schemes=("s3", "gs", "az"),
            target="zoo_cloud.place:CloudPlace",
            summary="object stores of Amazon (and what speaks S3), Google and Azure; can be published to",
        )
    ]

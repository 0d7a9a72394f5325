"""Listing the variants of registries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.errors import UnknownName, near_misses
from zoo.plugins import Catalog
from zoo.plugins import catalog as default_catalog

if TYPE_CHECKING:
    from zoo.registry import Registry
    from zoo.registry.index import Listing


class VariantRow(NamedTuple):
    """A variant as `list_variants` shows it.

    Attributes:
        ref: The exact version that its plain name comes to, as text.
        summary: One line for people.
        components: `kind/name` of each component, in the order of the road.
        input: What it takes: `image`, `sequence`, `audio` or `text`.
        params: Number of parameters; None if the registry does not say.
        metrics: Its figures, by `dataset/split/measure`: mean, std and seeds.
        pretrained: Whether there are weights.
        registry: Name of its registry.
    """

    ref: str
    summary: str
    components: tuple[str, ...]
    input: str
    params: int | None
    metrics: dict[str, dict[str, Any]]
    pretrained: bool
    registry: str


def list_variants(
    pattern: str = "*",
    *,
    backbone: str | None = None,
    attention: str | None = None,
    family: str | None = None,
    head: str | None = None,
    ndim: int | None = None,
    max_params: int | None = None,
    metric: str | None = None,
    sort: str = "ref",
    registries: Sequence[Registry] | None = None,
    catalog: Catalog | None = None,
) -> list[VariantRow]:
    """List the variants, each by the version that its plain name comes to.

    Args:
        pattern: Names to list, with `*` and `?`.
        backbone: Only variants with this backbone, with `*` and `?`.
        attention: Only variants with this attention.
        family: Only variants with an attention of this family.
        head: Only variants with this pooling head.
        ndim: Only variants for inputs of so many axes: 1 (sound, text, sequences) or 2 (images).
        max_params: Only variants with at most so many parameters.
        metric: Only variants of which this holds, e.g. `"cifar10-jpeg/test/top1>0.9"`; with `>`, `>=`,
            `<` or `<=`, or the name alone for those that have the figure.
        sort: `ref`, `params`, or the name of a metric (highest first).
        registries: Where to look; by default the built-in one and those that plug-ins bring.
        catalog: What knows the families; by default that of this process.

    Raises:
        InvalidValue: The condition on a metric is not of that form.
        UnknownName: There is no such family, or nothing to sort by.
    """
    from zoo.registry.defaults import default_registries
    from zoo.registry.queries import Condition, Query
    from zoo.registry.resolving import newest, usable

    members = _family(family, catalog or default_catalog()) if family is not None else None
    query = Query(
        pattern=pattern,
        backbone=backbone,
        attention=attention,
        members=members,
        head=head,
        ndim=ndim,
        max_params=max_params,
        condition=Condition.parse(metric) if metric is not None else None,
    )
    rows: dict[str, VariantRow] = {}
    known: set[str] = (
        set()
    )  # the first registry that knows a name answers, even if nothing of it will do
    for registry, index in usable(registries if registries is not None else default_registries()):
        for listing in newest(index.listings()):
            if listing.name not in known:
                rows[listing.name] = _row(registry, listing)
        known.update(index.names())
    return _sorted([row for name, row in rows.items() if query.takes(name, row)], sort)


def _row(registry: Registry, listing: Listing) -> VariantRow:
    return VariantRow(
        ref=f"{listing.name}@{listing.number}",
        summary=listing.summary,
        components=tuple(listing.components),
        input=listing.input,
        params=listing.params,
        metrics=listing.metrics,
        pretrained=listing.sha256 is not None,
        registry=registry.name,
    )


def _family(family: str, offers: Catalog) -> set[str]:
    from zoo.component import FAMILIES

    if family not in FAMILIES:
        raise UnknownName(f"There is no family {family!r}. {near_misses(family, FAMILIES)}")
    return {
        component.title
        for component in offers.components("attention")
        if component.family == family
    }


def _sorted(rows: list[VariantRow], key: str) -> list[VariantRow]:
    if key == "ref":
        return sorted(rows, key=lambda row: row.ref)
    if key == "params":
        return sorted(rows, key=lambda row: (row.params is None, row.params or 0, row.ref))
    known = {metric for row in rows for metric in row.metrics}
    if rows and key not in known:
        raise UnknownName(
            f"Nothing to sort by is called {key!r}. {near_misses(key, known | {'ref', 'params'})}"
        )
    return sorted(
        rows, key=lambda row: (-row.metrics.get(key, {"mean": float("-inf")})["mean"], row.ref)
    )

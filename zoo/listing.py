"""Listing the variants of registries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.component import FAMILIES, KINDS
from zoo.errors import InvalidValue, PluginError, UnknownName, near_misses
from zoo.plugins import Catalog
from zoo.plugins import catalog as default_catalog

if TYPE_CHECKING:
    from zoo.registry import Registry
    from zoo.registry.index import Index
    from zoo.registry.requirements import Missing
    from zoo.registry.selecting import Selection


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


class Variants:
    """Variants that a query takes in; each is read in its turn, for there may be a hundred thousand.

    Args:
        parts: Those of each registry.
        sort: `ref`, `params`, or the name of a metric.
    """

    def __init__(self, parts: Sequence[tuple[Registry, Selection]], sort: str) -> None:
        self._parts = parts
        self._sort = sort

    def count(self) -> int:
        """How many there are."""
        return sum(selection.count() for _, selection in self._parts)

    def unusable(self) -> tuple[int, list[Missing]]:
        """How many more there are of which no version can be used here, and what is not installed for them."""
        from zoo.registry.requirements import missing

        counted = [one for _, selection in self._parts for one in selection.unusable()]
        wanting = [one for _, requires in counted for one in missing(requires)]
        return sum(count for count, _ in counted), list(dict.fromkeys(wanting))

    def __iter__(self) -> Iterator[VariantRow]:
        """Yield each, in order."""
        from heapq import merge

        keys: dict[str, Callable[[VariantRow], Any]] = {
            "ref": _name,
            "params": lambda row: (row.params is None, row.params or 0, _name(row)),
        }
        parts = [self._rows(*part) for part in self._parts]
        return merge(*parts, key=keys.get(self._sort, self._by_metric))

    def _by_metric(self, row: VariantRow) -> tuple[float, str]:
        return -row.metrics.get(self._sort, {"mean": float("-inf")})["mean"], _name(row)

    def _rows(self, registry: Registry, selection: Selection) -> Iterator[VariantRow]:
        for listing in selection.sorted_by(self._sort):
            yield VariantRow(
                ref=f"{listing.name}@{listing.number}",
                summary=listing.summary,
                components=listing.components,
                input=listing.input,
                params=listing.params,
                metrics=listing.metrics,
                pretrained=listing.sha256 is not None,
                registry=registry.name,
            )


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

    One of which every version needs distributions that are not installed is left out.

    Args:
        pattern: Names to list, with `*` and `?`.
        backbone: Only variants with this backbone; this one and the next, and `head`, with `*` and `?`.
        attention: Only variants with this attention.
        family: Only variants with an attention of this family.
        head: Only variants with this pooling head.
        ndim: Only variants for inputs of so many axes: 1 (sound, text, sequences) or 2 (images).
        max_params: Only variants with at most so many parameters.
        metric: Only variants of which this holds, e.g. `"cifar10-jpeg/test/top1>0.9"`; with `>`, `>=`,
            `<` or `<=`, or the name alone for those that have the figure.
        sort: `ref`, `params`, or the name of a metric (highest first).
        registries: Where to look; by default the built-in one, those that the user added, and those that plug-ins bring.
        catalog: What knows components and families; by default that of this process.

    Raises:
        InvalidValue: `pattern` or the name of a component is no text, `ndim` or `max_params` no such number, or the
            condition on a metric not of that form.
        UnknownName: There is no such family or figure; or a component of that name is neither offered by a plug-in
            nor used by a variant.
    """
    found = find_variants(
        pattern,
        backbone=backbone,
        attention=attention,
        family=family,
        head=head,
        ndim=ndim,
        max_params=max_params,
        metric=metric,
        sort=sort,
        registries=registries,
        catalog=catalog,
    )
    return list(found)


def find_variants(
    pattern: str = "*",
    *,
    family: str | None = None,
    metric: str | None = None,
    sort: str = "ref",
    registries: Sequence[Registry] | None = None,
    catalog: Catalog | None = None,
    **conditions: Any,
) -> Variants:
    """As `list_variants`, but without holding them all at once: there may be a hundred thousand."""
    from zoo.registry.queries import Condition, Query
    from zoo.registry.requirements import is_met
    from zoo.registry.selecting import Selection

    names = {kind: conditions[kind] for kind in KINDS if conditions.get(kind) is not None}
    for word, value in {"pattern": pattern, **names}.items():
        if not isinstance(value, str):
            raise InvalidValue(f"{word} is {value!r:.80}; give a text, e.g. 'attn_*'.")
    _check_numbers(conditions.get("ndim"), conditions.get("max_params"))
    members = _family(family, catalog or default_catalog()) if family is not None else None
    condition = Condition.parse(metric) if metric is not None else None
    query = Query(pattern, members=members, condition=condition, **conditions)
    opened = _opened(registries)
    indices = [index for _, index in opened]
    for kind, name in query.named.items():
        _check_component(kind, name, catalog or default_catalog(), indices)
    if condition is not None:
        _check_metric(condition.metric, indices, "No variant has a metric")
    if sort not in ("ref", "params"):
        _check_metric(sort, indices, "Nothing to sort by is called", besides={"ref", "params"})
    parts = []
    for number, (registry, index) in enumerate(opened):
        # The first registry that knows a name answers, even if nothing of it will do.
        hidden = [name for _, earlier in opened[:number] for name in earlier.names()]
        parts.append((registry, Selection(index, query, holds=is_met, hidden=hidden)))
    return Variants(parts, sort)


def names_like(name: str, registries: Sequence[Registry] | None = None) -> str:
    """Return the end of an error message: the names of variants like `name`, else some."""
    found = [index.similar_names(name) for _, index in _opened(registries)]
    names = [name for similar, _ in found for name in similar]
    return near_misses(name, names, total=sum(count for _, count in found))


def _opened(registries: Sequence[Registry] | None) -> list[tuple[Registry, Index]]:
    from zoo.registry.defaults import chosen_registries
    from zoo.registry.resolving import usable

    return list(usable(chosen_registries(registries)))


def _name(row: VariantRow) -> str:
    return row.ref.partition("@")[0]


def _check_numbers(ndim: object, max_params: object) -> None:
    if ndim not in (None, 1, 2):
        raise InvalidValue(f"ndim is {ndim!r:.80}; give 1 (sound, text, sequences) or 2 (images).")
    if max_params is not None and type(max_params) is not int:
        raise InvalidValue(f"max_params is {max_params!r:.80}; give a whole number.")


def _check_component(kind: str, name: str, offers: Catalog, indices: Iterable[Index]) -> None:
    """Refuse a name that no plug-in offers, unless a variant has it, whose plug-in is not here."""
    try:
        offers.component(kind, name)
    except PluginError:  # several offer it
        return
    except UnknownName:
        title = f"{kind}/{name}"
        if not any(title in used for index in indices for _, used, _ in index.compositions()):
            raise


def _check_metric(
    name: str, indices: Iterable[Index], unknown: str, *, besides: Collection[str] = ()
) -> None:
    known = {metric for index in indices for metric in index.metrics()}.union(besides)
    if name not in known:
        raise UnknownName(f"{unknown} {name!r}. {near_misses(name, known)}")


def _family(family: str, offers: Catalog) -> set[str]:
    if family not in FAMILIES:
        raise UnknownName(f"There is no family {family!r}. {near_misses(family, FAMILIES)}")
    return {
        component.title
        for component in offers.components("attention")
        if component.family == family
    }

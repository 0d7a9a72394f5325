"""The verbs: create, compose, save, load, predict, list, describe, publish.

`create` is the road of this project, one call a step: resolve -> plan -> build -> load.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.component import Component
from zoo.errors import (
    InvalidSpec,
    InvalidValue,
    PluginError,
    UnknownName,
    WeightsError,
)
from zoo.plugins import Catalog
from zoo.plugins import catalog as default_catalog
from zoo.refs import ExactRef, Ref

if TYPE_CHECKING:
    from zoo.composition.model import Model
    from zoo.registry import Registry
    from zoo.registry.index import Listing
    from zoo.spec import Plan, Spec, Version

Block = str | Mapping[str, Any]
_TITLE = re.compile(r"(backbone|attention|head)/[a-z0-9_]{1,64}(/\*)?\Z")
_RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,99}\Z")


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


class Prediction(NamedTuple):
    """A class with its probability."""

    label: str
    probability: float


def create(
    ref: str,
    *,
    pretrained: bool = False,
    num_classes: int | None = None,
    registries: Sequence[Registry] | None = None,
    catalog: Catalog | None = None,
) -> Model:
    """Create a model from the name of a variant, or of a backbone that has a name space (`timm/resnet50`).

    Args:
        ref: `name`, `name@1`, `name@1.2`, `name@1.2.0`, `name@sha256:<64 hex>`, or `registry/name...`.
        pretrained: Load the version's weights, verified against their digest.
        num_classes: Put a fresh classifier for so many classes in place, and keep the rest.
        registries: Where to look; by default the built-in one and those that plug-ins bring.
        catalog: The components to build from; by default those of this process.

    Returns:
        The model, in eval mode if it is pretrained, else in training mode.

    Raises:
        InvalidRef: `ref` is none.
        UnknownName: Nobody knows the name, version, or a component of it.
        WeightsError: There are no weights, or they are not what was published.
    """
    if _is_backbone(ref, registries, catalog):
        backbone = {"name": ref, "pretrained": pretrained}
        return _finished(
            compose(backbone, head="native", catalog=catalog), num_classes, trained=pretrained
        )
    registry, version = _resolve(ref, registries)
    if pretrained:
        model = _load_blob(registry, version, catalog)
    else:
        model = _build(plan_for(version.spec, catalog=catalog))
    return _finished(model, num_classes, trained=pretrained)


def compose(
    backbone: Block | Spec,
    attention: Block | Sequence[Block] = (),
    head: Block | None = None,
    *,
    num_classes: int | None = None,
    labels: Sequence[str] | None = None,
    input: Mapping[str, Any] | None = None,  # noqa: A002 - the word of the spec
    catalog: Catalog | None = None,
) -> Model:
    """Compose a model from components.

    Args:
        backbone: A name, or a block `{"name": ..., <options>}`; or more in the short form,
            `"timm/resnet50 + cbam@branch(stages=3:4) + gem"`; or a whole `Spec`, alone.
        attention: Blocks `{"name": ..., "slot": ..., <options>}`, one or several, in order.
        head: A name or a block; by default `avg`.
        num_classes: Number of classes; None or 0 gives the pooled features.
        labels: Names of the classes.
        input: An input block; by default what the backbone asks for, else an image of 3 channels. For
            texts it may hold the `vocabulary`, a list of tokens, in place of its sizes.
        catalog: The components to build from; by default those of this process.

    Raises:
        InvalidSpec: The parts do not fit together; the message says which and why.
        UnknownName: Nobody offers a component, or the backbone lacks a slot.
    """
    from zoo.spec import Spec

    if isinstance(backbone, Spec):
        if (
            attention
            or head is not None
            or num_classes is not None
            or labels is not None
            or input is not None
        ):
            raise InvalidSpec("A whole Spec is composed as it is; leave the other arguments out.")
        return _build(plan_for(backbone, catalog=catalog))
    input, vocabulary = _without_vocabulary(input)  # noqa: A001 - as above
    spec = read_spec(
        backbone,
        attention=[attention] if isinstance(attention, str | Mapping) else list(attention) or None,
        head=head,
        output=_output(num_classes, labels),
        input=input,
        catalog=catalog,
    )
    model = _build(plan_for(spec, catalog=catalog))
    if vocabulary is not None and model.vocabulary is not None:
        model.vocabulary.fill(vocabulary)
    return model


def read_spec(backbone: Block, *, catalog: Catalog | None = None, **blocks: Any) -> Spec:
    """Read a spec from the short form, or from a backbone's block, and further blocks of a spec.

    An input that nobody says is the one that the backbone asks for.

    Raises:
        InvalidSpec: A text is not understood, or says what a block says, too.
        UnknownName: Nobody offers the backbone.
    """
    from zoo.grammar import parse
    from zoo.spec import Spec

    said = parse(backbone) if isinstance(backbone, str) else {"backbone": backbone}
    data = _said_once(said, **blocks)
    data.setdefault("input", _default_input(data["backbone"], catalog))
    return Spec.from_data(data)


def plan_for(spec: Spec, *, ref: ExactRef | None = None, catalog: Catalog | None = None) -> Plan:
    """Replace the names in a spec by components.

    Raises:
        UnknownName: Nobody offers one of them.
        PluginError: Several plug-ins do.
    """
    from zoo.composition.building import NATIVE_HEAD
    from zoo.spec import Plan

    offers = catalog or default_catalog()
    return Plan(
        spec=spec,
        backbone=offers.component("backbone", spec.backbone.name),
        attentions=tuple(
            offers.component("attention", placement.name) for placement in spec.attention
        ),
        head=None if spec.head.name == NATIVE_HEAD else offers.component("head", spec.head.name),
        ref=ref,
    )


def save(
    model: Model,
    path: str | os.PathLike[str],
    *,
    metrics: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Save a model as one safetensors file, with its spec inside.

    Args:
        model: A composed model.
        path: Where to. Written whole or not at all.
        metrics: Its figures, `{"dataset/split/measure": {"mean": ..., "std": ..., "seeds": ...}}`.
        recipe: How it was trained.
        provenance: On which data, when, from which commit.

    Raises:
        InvalidValue: The model was not composed by zoo or was changed by hand, so that it could not be
            loaded again; or the file cannot be written.
    """
    from zoo.composition.model import Model
    from zoo.weights import check_fits, save_model

    if not isinstance(model, Model):
        raise InvalidValue(
            f"zoo.save takes a model from zoo.create, zoo.compose or zoo.load; got {type(model).__name__}."
        )
    check_fits(model, _build(_unfetched(model.plan), initialize=False))
    extra = {"metrics": metrics, "recipe": recipe, "provenance": provenance}
    return save_model(
        model, model.plan, Path(path), {name: dict(value) for name, value in extra.items() if value}
    )


def load(path: str | os.PathLike[str], *, catalog: Catalog | None = None) -> Model:
    """Load a model from a file that `zoo.save` wrote. The file alone is enough.

    Returns:
        The model in eval mode.

    Raises:
        WeightsError: It is no such file, is damaged, or does not hold what it says.
        PluginError: It needs a plug-in that is not installed; the message says which.
    """
    from zoo.files import read_whole
    from zoo.weights import load_into, parse

    file = parse(read_whole(Path(path)), str(path))
    try:
        plan = plan_for(file.spec, catalog=catalog)
    except UnknownName as error:
        raise PluginError(_missing_plugin(file.metadata, str(path), error, catalog)) from error
    model = _build(plan, initialize=False)
    load_into(model, file)
    return model.eval()


def predict(model: Model, sample: Any, *, top: int = 5) -> list[Prediction]:
    """Classify one sample.

    Args:
        model: A composed model.
        sample: What the model's input block asks for. For an image a path, a PIL image or a uint8 array;
            for sound the path of a WAV file or an array with its sample rate; for text a str.
        top: How many classes to give, the likeliest first.

    Raises:
        InvalidValue: The sample cannot be read, or the model has no classes.
    """
    import torch

    if type(top) is not int or top < 1:
        raise InvalidValue(f"top is {top!r}; give a whole number of at least 1.")
    if model.num_classes == 0:
        raise InvalidValue("This model gives features, not classes. Compose it with num_classes.")
    weight = next(model.parameters())
    batch = model.transform()(sample).unsqueeze(0).to(weight.device)
    if batch.is_floating_point():  # token numbers stay numbers
        batch = batch.to(weight.dtype)
    training = [module for module in model.modules() if module.training]
    try:
        with torch.inference_mode():
            probabilities = model.eval()(batch)[0].float().softmax(0)
    finally:
        for module in training:
            module.training = True
    values, classes = probabilities.topk(min(top, model.num_classes))
    labels = model.labels or [f"class {number}" for number in range(model.num_classes)]
    return [
        Prediction(labels[i], p) for i, p in zip(classes.tolist(), values.tolist(), strict=True)
    ]


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
    from zoo.registry.queries import Condition, Query
    from zoo.registry.resolving import newest

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
    for registry in registries if registries is not None else default_registries():
        for listing in newest(registry.index.listings()):
            if listing.name not in known:
                rows[listing.name] = _row(registry, listing)
        known.update(registry.index.names())
    return _sorted([row for name, row in rows.items() if query.takes(name, row)], sort)


def list_components(kind: str | None = None, *, catalog: Catalog | None = None) -> list[Component]:
    """List what plug-ins offer: all components, or those of one kind.

    Raises:
        UnknownName: There is no such kind.
    """
    return (catalog or default_catalog()).components(kind)


def describe(ref: str, *, registries: Sequence[Registry] | None = None) -> Version:
    """Return all that a registry says of a version.

    Raises:
        InvalidRef: `ref` is none.
        UnknownName: No registry knows it.
    """
    return _resolve(ref, registries)[1]


def publish(
    path: str | os.PathLike[str],
    *,
    registry: str | os.PathLike[str],
    name: str,
    version: str,
    summary: str = "",
    license: str = "",  # noqa: A002 - the word of the registry
    metrics: Mapping[str, Any] | None = None,
) -> ExactRef:
    """Publish a file that `zoo.save` wrote as a version of a variant, in the registry of a folder.

    Args:
        path: The file. Its spec, metrics, recipe and provenance become those of the version.
        registry: The folder; made if it holds no registry yet.
        name: Name of the variant.
        version: `MAJOR.MINOR.PATCH`. A version that exists is never changed.
        summary: One line for people; kept from earlier versions if empty.
        license: SPDX identifier of the weights' licence.
        metrics: Figures beside those in the file, e.g. of the test split, in the form that `save` takes.

    Raises:
        RegistryError: The version exists, or the registry breaks a rule.
        WeightsError: The file cannot be loaded by others, or holds NaN.
    """
    from zoo.registry.publishing import publish as publish_file

    return publish_file(
        Path(path),
        Path(registry),
        name=name,
        version=version,
        summary=summary,
        license_name=license,
        metrics=metrics,
    )


def default_registries() -> list[Registry]:
    """The built-in registry, then those that plug-ins bring. A broken one of a plug-in is reported and left out."""
    import warnings

    from zoo.errors import RegistryError
    from zoo.plugins import PluginWarning
    from zoo.registry import Registry, builtin_folder

    found = [Registry(builtin_folder(), name="zoo")]
    for folder in default_catalog().registries:
        try:
            found.append(Registry(folder))
        except RegistryError as error:
            warnings.warn(f"A plug-in's registry is left out: {error}", PluginWarning, stacklevel=2)
    return found


def _resolve(ref: str, registries: Sequence[Registry] | None) -> tuple[Registry, Version]:
    from zoo.registry.resolving import resolve

    return resolve(Ref.parse(ref), registries if registries is not None else default_registries())


def _is_backbone(ref: str, registries: Sequence[Registry] | None, offers: Catalog | None) -> bool:
    """Whether a ref names a backbone of a name space (`timm/...`) that no registry goes by."""
    space, slash, _ = ref.partition("/") if isinstance(ref, str) else ("", "", "")
    if not slash:
        return False
    known = {component.name for component in (offers or default_catalog()).components("backbone")}
    if f"{space}/*" not in known:
        return False
    return space not in {
        r.name for r in (registries if registries is not None else default_registries())
    }


def _output(num_classes: int | None, labels: Sequence[str] | None) -> dict[str, Any] | None:
    if num_classes is None and labels is None:
        return None
    output = {} if num_classes is None else {"num_classes": num_classes}
    return output if labels is None else {**output, "labels": list(labels)}


def _said_once(data: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    """Add arguments to what the short form says; what both say is refused."""
    given = {field: value for field, value in arguments.items() if value is not None}
    for field in given:
        if field in data:
            raise InvalidSpec(f"The short form says the {field} already; leave the argument out.")
    return {**data, **given}


def _default_input(backbone: Block, offers: Catalog | None) -> dict[str, Any]:
    """What the backbone asks for, if it asks for anything; else an image, or a sequence for ndim 1."""
    block = {"name": backbone} if isinstance(backbone, str) else dict(backbone)
    name = block.pop("name", None)
    block.pop("pretrained", None)
    if not isinstance(name, str):
        return {"kind": "image", "channels": 3}
    cls = (offers or default_catalog()).component("backbone", name).load()
    if hasattr(cls, "default_input"):
        space = {"architecture": name.partition("/")[2]} if "/" in name else {}
        asked: dict[str, Any] = cls.default_input(**space, **block)
        return asked
    return {"kind": "image", "channels": 3}


def _without_vocabulary(
    block: Mapping[str, Any] | None,
) -> tuple[Mapping[str, Any] | None, Sequence[str] | None]:
    """Take the tokens out of an input block of texts, and put their sizes in."""
    if block is None or block.get("kind") != "text" or "vocabulary" not in block:
        return block, None
    from zoo.inputs.text import vocabulary_sizes

    rest = {name: value for name, value in block.items() if name != "vocabulary"}
    sizes = vocabulary_sizes(block["vocabulary"], lower=rest.get("lower", True))
    for name, size in sizes.items():
        if rest.setdefault(name, size) != size:
            raise InvalidSpec(
                f"input.{name}: {rest[name]!r} is not that of the vocabulary, {size}; leave it out."
            )
    return rest, block["vocabulary"]


def _build(plan: Plan, *, initialize: bool = True) -> Model:
    from zoo.composition.building import build

    return build(plan, initialize=initialize)


def _load_blob(registry: Registry, version: Version, offers: Catalog | None) -> Model:
    from zoo.store import read_blob
    from zoo.weights import load_into, parse, without_pretrained

    if version.weights is None:
        raise WeightsError(
            f"{version.ref} has no weights. Create it without pretrained=True and train it."
        )
    content = read_blob(registry.root, version.weights.sha256, version.weights.size)
    plan = plan_for(without_pretrained(version.spec), ref=version.ref, catalog=offers)
    model = _build(plan, initialize=False)
    load_into(model, parse(content, str(version.ref)))
    return model


def _unfetched(plan: Plan) -> Plan:
    from msgspec.structs import replace

    from zoo.weights import without_pretrained

    return replace(plan, spec=without_pretrained(plan.spec))


def _finished(model: Model, num_classes: int | None, *, trained: bool) -> Model:
    if num_classes is not None and num_classes != model.num_classes:
        model.reset_classifier(num_classes)
    return model.train(not trained)


def _missing_plugin(
    metadata: Mapping[str, Any], path: str, error: UnknownName, offers: Catalog | None
) -> str:
    """Say which distribution brings what a file needs."""
    catalog = offers or default_catalog()
    have = {component.title for component in catalog.components()}
    left_out = {
        plugin.entry.distribution: plugin for plugin in catalog.plugins if plugin.state != "loaded"
    }
    needs = metadata.get("components")
    for title, origin in (needs if isinstance(needs, dict) else {}).items():
        # What a file says is shown only where it has the form of what it should be.
        if title in have or not _TITLE.match(title):
            continue
        words = origin if isinstance(origin, list) and len(origin) == 2 else [None, None]
        if all(isinstance(word, str) and _RELEASE.match(word) for word in words):
            distribution, release = words
            came = f"{path} needs {title}, which came with {distribution} {release}."
            if distribution in left_out:
                plugin = left_out[distribution]
                return f"{came} It is installed, but {plugin.state}{f' ({plugin.problem})' * bool(plugin.problem)}."
            return f"{came} Install it: pip install {distribution}"
        return (
            f"{path} needs {title}, which was registered in the process that saved it and belongs to no "
            "distribution. Register it here, too (zoo.register), before loading."
        )
    return f"{path}: {error}"


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
    from zoo.errors import near_misses

    if family not in FAMILIES:
        raise UnknownName(f"There is no family {family!r}. {near_misses(family, FAMILIES)}")
    return {
        component.title
        for component in offers.components("attention")
        if component.family == family
    }


def _sorted(rows: list[VariantRow], key: str) -> list[VariantRow]:
    from zoo.errors import near_misses

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

"""The verbs: create, compose, save, load, predict, describe, publish, yank.

`create` is the road of this project, one call a step: resolve -> plan -> build -> load.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.blocks import Block, attention_blocks, output_block, read_spec, without_vocabulary
from zoo.component import Component
from zoo.errors import InvalidSpec, InvalidValue, PluginError, UnknownName, WeightsError, no_model
from zoo.missing import missing_distributions, missing_plugins
from zoo.plugins import Catalog
from zoo.plugins import catalog as default_catalog
from zoo.refs import ExactRef
from zoo.registry.defaults import chosen_registries
from zoo.registry.resolving import named

if TYPE_CHECKING:
    from zoo.composition.model import Model
    from zoo.finding import Found
    from zoo.registry import Registry
    from zoo.spec import Plan, Spec, Version
    from zoo.weights import WeightsFile


class Prediction(NamedTuple):
    """A class with its probability."""

    label: str
    probability: float


def create(
    ref: str,
    *,
    pretrained: bool | str = False,
    num_classes: int | None = None,
    lock: str | os.PathLike[str] | None = None,
    registries: Sequence[Registry] | None = None,
    catalog: Catalog | None = None,
) -> Model:
    """Create a model from the name of a variant, or of a backbone that has a name space (`timm/resnet50`).

    Args:
        ref: `name`, `name@1`, `name@1.2`, `name@1.2.0`, `name@sha256:<64 hex>`, or `registry/name...`.
        pretrained: Load the version's weights, verified against their digest; fetch them first if they
            are not on this machine. For a backbone also the path of a file with weights for it.
        num_classes: Put a fresh classifier for so many classes in place, and keep the rest. The number that it has
            keeps its classifier and labels, too: for others of as many, `model.reset_classifier`.
        lock: A lock file (`zoo lock`); the version is then the one that it holds.
        registries: Where to look; by default those of `zoo.registries()`.
        catalog: The components to build from; by default those of this process.

    Returns:
        The model, in eval mode if it is pretrained, else in training mode.

    Raises:
        InvalidValue: `pretrained` is neither of them.
        InvalidRef: `ref` is none.
        UnknownName: Nobody knows the name or version.
        PluginError: It needs plug-ins that are not installed; the message says which.
        FetchError: They cannot be fetched.
        RegistryError: A registry takes back what it said before, or contradicts the lock file.
        WeightsError: There are no weights, or they are not what was published.
    """
    if lock is None and _is_backbone(ref, registries, catalog):
        model = compose({"name": ref, "pretrained": pretrained}, head="native", catalog=catalog)
        return _finished(model, num_classes, trained=bool(pretrained))
    if not isinstance(pretrained, bool):
        raise InvalidValue(
            f"pretrained is {pretrained!r:.80}; for a variant it is True (the weights of its version) or False. "
            "Those of a file: zoo.load(PATH)."
        )
    from zoo.finding import find

    found = find(ref, registries=registries, lock=lock)
    if pretrained:
        model = _load_found(found, catalog)
    else:
        model = _build(plan_for_version(found.version, catalog=catalog))
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
            `"timm/resnet50 + cbam@branch(stages=3:4) + gem"`; or, alone, a whole `Spec` or its plain data.
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

    if isinstance(backbone, Mapping) and "backbone" in backbone:
        backbone = Spec.from_data(backbone)
    if isinstance(backbone, Spec):
        if (
            attention
            or head is not None
            or num_classes is not None
            or labels is not None
            or input is not None
        ):
            raise InvalidSpec("A whole spec is composed as it is; leave the other arguments out.")
        return _build(plan_for(backbone, catalog=catalog))
    input, vocabulary = without_vocabulary(input)  # noqa: A001 - as above
    spec = read_spec(
        backbone,
        attention=attention_blocks(attention),
        head=head,
        output=output_block(num_classes, labels),
        input=input,
        catalog=catalog,
    )
    model = _build(plan_for(spec, catalog=catalog))
    if vocabulary is not None and model.vocabulary is not None:
        model.vocabulary.fill(vocabulary)
    return model


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


def plan_for_version(version: Version, *, catalog: Catalog | None = None) -> Plan:
    """As `plan_for`, of what a registry says.

    Raises:
        PluginError: It needs plug-ins that are not installed; the message says which.
    """
    try:
        return plan_for(version.spec, catalog=catalog)
    except UnknownName as error:
        offers = catalog or default_catalog()
        raise PluginError(missing_distributions(version, error, offers)) from error


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
        path: Where to, e.g. `mine.safetensors`. Written whole or not at all, under this very name; one whose end
            means another format, such as `.pt` or `.onnx`, is refused.
        metrics: Its figures, `{"dataset/split/measure": {"mean": ..., "std": ..., "seeds": ...}}`.
        recipe: How it was trained.
        provenance: On which data, when, from which commit.

    Raises:
        InvalidValue: The model was not composed by zoo or was changed by hand, so that it could not be
            loaded again; or the file cannot be written, or should be called otherwise; or what is to be kept with it
            is no mapping, or are no figures.
    """
    from zoo.composition.building import in_float32
    from zoo.composition.model import Model
    from zoo.registry.metrics import check_metrics
    from zoo.weights import check_fits, save_model

    if not isinstance(model, Model):
        raise no_model("zoo.save", model)
    with in_float32():
        check_fits(model, _build(_unfetched(model.plan), initialize=False, check=False))
    extra = {"metrics": metrics, "recipe": recipe, "provenance": provenance}
    for name, value in extra.items():
        if not isinstance(value, Mapping | None):
            raise InvalidValue(
                f"{name} is {value!r:.80}; give a mapping of names to what they say."
            )
    check_metrics(metrics)
    return save_model(
        model, model.plan, Path(path), {name: dict(value) for name, value in extra.items() if value}
    )


def load(path: str | os.PathLike[str], *, catalog: Catalog | None = None) -> Model:
    """Load a model from a file that `zoo.save` wrote. The file alone is enough.

    Returns:
        The model in eval mode.

    Raises:
        InvalidValue: `path` is none.
        WeightsError: It is no such file, is damaged, or does not hold what it says.
        PluginError: It needs plug-ins that are not installed; the message says which.
    """
    from zoo.weights import load_into, opened

    if not isinstance(path, str | os.PathLike):
        raise InvalidValue(
            f"zoo.load takes the path of a file that zoo.save wrote; got {path!r:.80}."
        )
    with opened(Path(path)) as file:
        model = _build_for(_plan_for_file(file, catalog), file)
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
        InvalidValue: The sample cannot be read, or the model has no classes, or its scores are no numbers.
    """
    import torch

    from zoo.composition.model import Model
    from zoo.composition.modes import evaluating

    if not isinstance(model, Model):
        raise no_model("zoo.predict", model)
    if type(top) is not int or top < 1:
        raise InvalidValue(f"top is {top!r}; give a whole number of at least 1.")
    if model.num_classes == 0:
        raise InvalidValue("This model gives features, not classes. Compose it with num_classes.")
    weight = next(model.parameters())
    batch = model.transform()(sample).unsqueeze(0).to(weight.device)
    if batch.is_floating_point():  # token numbers stay numbers
        batch = batch.to(weight.dtype)
    with evaluating(model), torch.inference_mode():
        probabilities = model(batch)[0].float().softmax(0)
    if not probabilities.isfinite().all():
        raise InvalidValue(
            "The model's scores are no numbers: its weights are those of a training that diverged, or damaged."
        )
    values, classes = probabilities.topk(min(top, model.num_classes))
    labels = model.labels or [f"class {number}" for number in range(model.num_classes)]
    return [
        Prediction(labels[i], p) for i, p in zip(classes.tolist(), values.tolist(), strict=True)
    ]


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
    from zoo.finding import find

    return find(ref, registries=registries).version


def publish(
    path: str | os.PathLike[str],
    *,
    registry: str | os.PathLike[str],
    name: str,
    version: str,
    summary: str = "",
    license: str = "",  # noqa: A002 - the word of the registry
    metrics: Mapping[str, Any] | None = None,
    allow_similar_name: bool = False,
    stage: str | os.PathLike[str] | None = None,
) -> ExactRef:
    """Publish a file that `zoo.save` wrote as a version of a variant.

    Args:
        path: The file, or the folder of a run, of which the best file is taken. Its spec, metrics, recipe and
            provenance become those of the version.
        registry: Path or address of the registry, e.g. `./our-zoo` or `s3://bucket/our-zoo`; made if there is none
            yet. Or the name of one that was added.
        name: Name of the variant.
        version: `MAJOR.MINOR.PATCH`. A version that exists is never changed.
        summary: One line for people; kept from earlier versions if empty.
        license: SPDX identifier of the weights' licence.
        metrics: Figures beside those in the file, e.g. of the test split, in the form that `save` takes.
        allow_similar_name: Take a new name that is one letter from another one there.
        stage: Do not write to the registry, but lay out in this new folder what belongs there.

    Raises:
        InvalidValue: The registry lies where zoo cannot write, and no `stage` is given; or a figure is none.
        UnknownName: There is no registry of that name, but one that is a letter from it.
        RegistryError: The version exists, the name is too like another, or the registry breaks a rule.
        WeightsError: The file cannot be loaded by others, or holds NaN.
        FetchError: The registry cannot be read or written.
    """
    from zoo.registry.publishing import publish as publish_file

    return publish_file(
        Path(path),
        _base_to_change(registry),
        name=name,
        version=version,
        summary=summary,
        license_name=license,
        metrics=metrics,
        allow_similar_name=allow_similar_name,
        stage=Path(stage) if stage is not None else None,
    )


def yank(
    ref: str,
    *,
    registry: str | os.PathLike[str],
    reason: str = "",
    undo: bool = False,
    stage: str | os.PathLike[str] | None = None,
) -> ExactRef:
    """Withdraw a version: refs without its number pass it over; with it, it still loads, with a warning.

    Args:
        ref: `name@1.2.0`.
        registry: Path, address or name of the registry.
        reason: Why; whoever asks for that version is told.
        undo: Take the withdrawal back.
        stage: As in `publish`.

    Raises:
        InvalidRef: `ref` does not name one version.
        UnknownName: There is no such version.
        RegistryError: There is no registry; or the version is withdrawn for that reason already, or with `undo` is not.
        FetchError: The registry cannot be read or written.
    """
    from zoo.registry.yanking import yank as yank_version

    where = Path(stage) if stage is not None else None
    return yank_version(ref, _base_to_change(registry), reason=reason, undo=undo, stage=where)


def _base_to_change(registry: str | os.PathLike[str]) -> str:
    from zoo.registry.managing import base_to_change

    return base_to_change(registry) if isinstance(registry, str) else os.fspath(registry)


def _is_backbone(ref: str, registries: Sequence[Registry] | None, offers: Catalog | None) -> bool:
    """Whether a ref names a backbone of a name space (`timm/...`) that no registry goes by."""
    space, slash, _ = ref.partition("/") if isinstance(ref, str) else ("", "", "")
    if not slash:
        return False
    known = {component.name for component in (offers or default_catalog()).components("backbone")}
    if f"{space}/*" not in known:
        return False
    return named(space, chosen_registries(registries), ask=False) is None


def _build(plan: Plan, *, initialize: bool = True, check: bool = True) -> Model:
    from zoo.composition.building import build

    return build(plan, initialize=initialize, check=check)


def _load_found(found: Found, offers: Catalog | None) -> Model:
    from zoo.obtaining import read_weights
    from zoo.weights import load_into, parse, without_pretrained

    ref = found.version.ref
    if found.registry is not None:  # what it needs is known before anything is fetched
        plan_for_version(found.version, catalog=offers)
    file = parse(read_weights(found), str(ref))
    spec = without_pretrained(found.version.spec)
    if file.spec != spec:
        # The digest covers the file alone: without this, an index could give its weights other labels.
        raise WeightsError(
            f"{ref} holds another model than its spec says: the spec inside the file is not that of the registry."
        )
    model = _build_for(_plan_for_file(file, offers, ref=ref), file)
    load_into(model, file)
    return model


def _plan_for_file(
    file: WeightsFile, offers: Catalog | None, *, ref: ExactRef | None = None
) -> Plan:
    try:
        return plan_for(file.spec, ref=ref, catalog=offers)
    except UnknownName as error:
        known = offers or default_catalog()
        raise PluginError(missing_plugins(file.metadata, file.source, error, known)) from error


def _build_for(plan: Plan, file: WeightsFile) -> Model:
    from zoo.composition.allowance import Allowance
    from zoo.composition.building import in_float32

    with (
        in_float32(),
        Allowance(file.source, file.size, len(file.entries)),  # which draws nothing
    ):
        return _build(plan, check=False)


def _unfetched(plan: Plan) -> Plan:
    from msgspec.structs import replace

    from zoo.weights import without_pretrained

    return replace(plan, spec=without_pretrained(plan.spec))


def _finished(model: Model, num_classes: int | None, *, trained: bool) -> Model:
    if num_classes is not None and num_classes != model.num_classes:
        model.reset_classifier(num_classes)
    return model.train(not trained)

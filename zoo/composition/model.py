"""The model: backbone, attention before the head, pooling head, dense layers, classifier."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from torch import Tensor, nn

from zoo.composition.insertion import After
from zoo.composition.modes import keep_statistics
from zoo.errors import InvalidValue, first_line
from zoo.refs import ExactRef
from zoo.spec import INPUT_AXES, Input, Plan, Spec

if TYPE_CHECKING:
    from zoo.composition.features import Features, StageInfo
    from zoo.inputs.text import Vocabulary


class Model(nn.Module):
    """A composed model, with the manners of a timm model.

    Args:
        plan: What it was composed from.
        backbone: (N, channels, *spatial) -> (N, num_features, *spatial').
        last: The attention before the head; None where there is none.
        head: (N, num_features, *spatial') -> (N, F).
        dense: (N, F) -> (N, head_hidden_size).
        classifier: (N, head_hidden_size) -> (N, num_classes), or what the head's `make_classifier` gave.
        head_hidden_size: Width of the features that the classifier gets.
        attention_modules: The inserted attentions, each a sub-module of the parts above.
        vocabulary: The tokens that a model of texts knows; None for other inputs.

    Attributes:
        num_features: Channels of the last feature map.
        ndim: 1 for (N, C, L), 2 for (N, C, H, W).
        attention_paths: Where in this module the inserted attentions are, by dotted name.
        mask_refusals: Components that cannot honour a mask.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        backbone: nn.Module,
        last: nn.Module | None,
        head: nn.Module,
        dense: nn.Module,
        classifier: nn.Module,
        head_hidden_size: int,
        attention_modules: Sequence[nn.Module] = (),
        vocabulary: Vocabulary | None = None,
    ) -> None:
        super().__init__()
        self.plan = plan
        self.backbone = backbone
        self.last = last
        self.head = head
        self.dense = dense
        self.dropout = nn.Dropout(plan.spec.head.dropout)
        self.classifier = classifier
        self.vocabulary = vocabulary
        self.head_hidden_size = head_hidden_size
        self.num_features: int = backbone.num_features  # type: ignore[assignment]  # contract of a backbone
        self.ndim: int = backbone.ndim  # type: ignore[assignment]  # contract of a backbone
        names = {id(module): name for name, module in self.named_modules()}
        self.attention_paths = tuple(names[id(module)] for module in attention_modules)
        refusals = [component.title for component in plan.components if not component.mask]
        # What takes the place of a convolution is called as one: without a mask.
        refusals += [f"{p.name}@conv" for p in plan.spec.attention if p.slot == "conv"]
        # So is what stands behind a module of a backbone that knows nothing of it.
        if any(isinstance(module, After) for module in backbone.modules()):
            refusals.append("an attention that stands behind a module of the backbone")
        parts = (backbone, *attention_modules, head)
        without = {type(part).__name__ for part in parts if not takes_mask(part)}
        refusals += [f"{name}.forward" for name in sorted(without)] if not refusals else []
        self.mask_refusals = (*refusals, *(() if plan.head else ("head/native",)))

    @property
    def spec(self) -> Spec:
        """The spec that this model was composed from."""
        return self.plan.spec

    @property
    def ref(self) -> ExactRef | None:
        """The version whose weights it holds; None for a model of one's own."""
        return self.plan.ref

    @property
    def num_classes(self) -> int:
        """Number of classes it tells apart; 0 where it gives features."""
        return self.spec.output.width

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Names of the classes, if they have any."""
        return self.spec.output.labels

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map an input to class scores before the softmax.

        Args:
            x: (N, channels, *spatial), preprocessed as `transform()` does it.
            mask: (N, *spatial), True where x is real; None means everywhere.

        Returns:
            (N, num_classes), or (N, head_hidden_size) if there are no classes.

        Raises:
            InvalidValue: x or the mask is not of that shape, or a part cannot honour a mask.
        """
        return self.forward_head(self.forward_features(x, mask), mask=mask)

    def forward_features(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map an input to the feature map before the head, (N, num_features, *spatial')."""
        self._check_input(x, mask)
        features: Tensor = self.backbone(x) if mask is None else self.backbone(x, mask)
        if self.last is not None:
            features = (
                self.last(features) if mask is None else self.last(features, self._at_last(mask))
            )
        return features

    def forward_head(
        self,
        x: Tensor,
        pre_logits: bool = False,  # noqa: FBT001, FBT002 - timm's signature
        *,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Pool a feature map and classify it.

        Args:
            x: (N, num_features, *spatial') as from `forward_features`.
            pre_logits: Stop before the classifier.
            mask: (N, *spatial), of the model's input.
        """
        at_last = () if mask is None else (self._at_last(mask),)
        if self.num_classes and not pre_logits and classifies(self.head):
            return self.head(self.dropout(x), *at_last, classifier=self.classifier)  # type: ignore[no-any-return]  # a module's call is untyped
        features: Tensor = self.dropout(self.dense(self.head(x, *at_last)))
        if pre_logits:
            return features
        scores: Tensor = self.classifier(features)
        return scores

    def forward_intermediates(
        self,
        x: Tensor,
        indices: Sequence[int] | int | None = None,
        *,
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Return the map of each stage, as the backbone gives it, beside the last feature map.

        Args:
            x: As for `forward`.
            indices: Which stages, from 0, or from the end with negative numbers; a number N means the last N, None all.
            intermediates_only: Leave the last feature map out.

        Raises:
            InvalidValue: There is no such stage.
        """
        from zoo.composition.features import stage_indices

        self._check_input(x, None)
        maps: list[Tensor] = self.backbone.forward_stages(x)  # type: ignore[operator]  # contract of a backbone
        chosen = [maps[i] for i in stage_indices(indices, len(maps))]
        if intermediates_only:
            return chosen
        return (maps[-1] if self.last is None else self.last(maps[-1])), chosen

    @property
    def feature_info(self) -> StageInfo:
        """For each stage its channels (`num_chs`) and by what it divides the input's size (`reduction`).

        Its methods `channels()` and `reduction()` list these.
        """
        from zoo.composition.features import measure_stages

        return measure_stages(self)

    def features_only(self, out_indices: Sequence[int] | int | None = None) -> Features:
        """A module that gives a list of feature maps instead of class scores, as detectors take it.

        An attention in the slot `last` is applied to the map of the last stage, which is that of `forward_features`.

        Args:
            out_indices: Which stages, from 0, or from the end with negative numbers; a number N means the last N, None
                all.

        Raises:
            InvalidValue: There is no such stage.
        """
        from zoo.composition.features import Features

        return Features(self, out_indices)

    def set_grad_checkpointing(self, enable: bool = True) -> None:  # noqa: FBT001, FBT002 - timm's signature
        """Keep fewer activations in training, and compute them again in the backward pass.

        Batch norms take the statistics of a batch each time, hence twice in training (as timm's do).

        Raises:
            InvalidValue: The backbone cannot.
        """
        if not hasattr(self.backbone, "set_grad_checkpointing"):
            raise InvalidValue(f"{self.plan.backbone.name} has no gradient checkpointing.")
        self.backbone.set_grad_checkpointing(enable)  # type: ignore[operator]  # looked up just before

    def train(self, mode: bool = True) -> Model:  # noqa: FBT001, FBT002 - torch's signature
        """Set training mode; norms that `zoo.freeze` froze keep their statistics."""
        super().train(mode)
        keep_statistics(self)
        return self

    def get_classifier(self) -> nn.Module:
        """The last layer, from features to class scores."""
        return self.classifier

    def reset_classifier(self, num_classes: int, labels: Sequence[str] | None = None) -> None:
        """Put a fresh classifier in place, for `num_classes` classes (0: give features).

        Raises:
            InvalidValue: `num_classes` is negative, or not the number of labels, or these are none.
        """
        if type(num_classes) is not int or num_classes < 0:
            raise InvalidValue(
                f"num_classes is {num_classes!r}; give a whole number of at least 0."
            )
        if isinstance(labels, str):
            raise InvalidValue(
                f"labels is the text {labels!r:.80}; give a list with one text a class. (The pooling head is chosen when "
                "a model is composed.)"
            )
        if labels is not None and len(labels) != num_classes:
            raise InvalidValue(f"{len(labels)} labels for {num_classes} classes; give one a class.")
        output = {"num_classes": num_classes} if labels is None else {"labels": list(labels)}
        spec = Spec.from_data({**self.spec.to_data(), "output": {"kind": "classes", **output}})
        weight = next(self.parameters(), None)
        fresh = make_classifier(self.head, self.head_hidden_size, num_classes)
        self.classifier = fresh if weight is None else fresh.to(weight)
        self.plan = msgspec.structs.replace(self.plan, spec=spec, ref=None)

    def transform(self) -> Callable[[Any], Tensor]:
        """The preprocessing that the spec's input asks for: one sample -> a tensor without batch axis."""
        from zoo.inputs import make_transform

        vocabulary = self.vocabulary.tokens() if self.vocabulary is not None else ()
        return make_transform(self.spec.input, vocabulary=vocabulary)

    def _at_last(self, mask: Tensor) -> Tensor:
        at_last: Tensor = self.backbone.downsample_mask(mask)  # type: ignore[operator]  # contract of a backbone
        return at_last

    def _check_input(self, x: Tensor, mask: Tensor | None) -> None:
        check_input(self.spec.input, x)
        if mask is None:
            return
        if self.mask_refusals:
            raise InvalidValue(
                f"This model takes no mask: {', '.join(self.mask_refusals)} cannot honour one."
            )
        expected = x.shape if self.spec.input.kind == "text" else (x.shape[0], *x.shape[2:])
        if mask.shape != expected or mask.dtype != torch.bool:
            raise InvalidValue(
                f"The mask is {mask.dtype} of shape {tuple(mask.shape)}; for this input it is torch.bool "
                f"of shape {tuple(expected)}."
            )


def check_input(block: Input, x: Tensor) -> None:
    """See that a batch is what a spec's input block says.

    Raises:
        InvalidValue: It has another shape or dtype.
    """
    axes = INPUT_AXES[block.kind]
    is_text = block.kind == "text"
    if x.ndim != len(axes) + 1 or (not is_text and x.shape[1] != block.channels):
        shape = ", ".join(str(block.channels) if axis == "channels" else axis for axis in axes)
        raise InvalidValue(
            f"The model takes (batch, {shape}); got a tensor of shape {tuple(x.shape)}."
        )
    if x.is_floating_point() == is_text:
        raise InvalidValue(
            f"The model takes {'token numbers' if is_text else 'floating-point values'}; got {x.dtype}. "
            "Use model.transform()."
        )


def takes_mask(module: nn.Module) -> bool:
    """Whether its forward has a second parameter, by whatever name."""
    parameters = inspect.signature(module.forward).parameters.values()
    return sum(p.kind is not p.KEYWORD_ONLY for p in parameters) > 1 or any(
        p.kind is p.VAR_POSITIONAL for p in parameters
    )


def classifies(head: nn.Module) -> bool:
    """Whether a head uses the classifier itself, before it pools: `make_classifier` says so."""
    return hasattr(head, "make_classifier")


def make_classifier(head: nn.Module, in_features: int, num_classes: int) -> nn.Module:
    """The head's own classifier, else a linear layer to `num_classes` scores; nothing for 0 classes."""
    if not num_classes:
        return nn.Identity()
    if classifies(head):
        made: nn.Module = head.make_classifier(num_classes)  # type: ignore[operator]  # looked up just before
        return made
    return make_linear(in_features, num_classes)


def make_linear(in_features: int, out_features: int) -> nn.Linear:
    """A linear layer.

    Raises:
        InvalidValue: It is too large for torch or for the memory.
    """
    try:
        return nn.Linear(in_features, out_features)
    except (RuntimeError, TypeError, OverflowError) as error:
        raise InvalidValue(
            f"A layer of {in_features} by {out_features} weights cannot be made: {first_line(error):.160}"
        ) from error

"""The task that Lightning runs: one model, one recipe, cross entropy on labelled samples.

Everything random in an epoch follows from the recipe's seed and the epoch's number, so that a training
that was interrupted and resumed ends at the same weights as one that was not.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Adadelta, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from zoo.composition.finetuning import freeze, parameter_groups
from zoo.composition.model import Model
from zoo.errors import InvalidValue, ZooError
from zoo.train.augmentation import kind_changed_by, make_augmentation
from zoo.train.batches import epoch_seed
from zoo.train.data.splits import Batch
from zoo.train.normalization import make_normalization
from zoo.train.recipe import Recipe

LOOKS = 20  # batches from one look at the loss to the next, where a look makes the device wait


class NotFinite(ZooError):
    """The loss is no number any more."""


class Task(LightningModule):
    """Train a model on batches.

    Args:
        model: A model of ours.
        recipe: How.
        steps: Of the whole training, over which the schedule goes. To ask Lightning for them would set up the
            batches before it knows where a checkpoint stopped in them.
        compiled: Whether training steps go through torch.compile. Validation does not: it would have to be
            compiled once more, for a small part of the time.
    """

    def __init__(self, model: Model, recipe: Recipe, steps: int, *, compiled: bool = False) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last) if recipe.channels_last else model
        self.recipe, self.steps = recipe, steps
        if recipe.backbone_rate == 0:
            freeze(model, except_=("attention", "head"))
        own = [(kind_changed_by(step), make_augmentation(step)) for step in recipe.augment]
        self.augmentations = [(place, augment) for place, augment in own if place != "spectrogram"]
        self.spectral = [augment for place, augment in own if place == "spectrogram"]

        def train_scores(*inputs: Tensor) -> Tensor:
            scores: Tensor = model(*inputs)
            return scores

        if compiled:  # what was compiled for another model counts against this one, up to a limit
            torch.compiler.reset()
        # A function: a compiled module would stand beside the model, with the same weights, in checkpoints.
        self.train_scores = torch.compile(train_scores) if compiled else train_scores
        self.normalize = make_normalization(model.spec.input)
        self.generator, self.random = torch.Generator(), random.Random()  # noqa: S311 - no secrets
        # Loss, right answers, samples: of this epoch, and of its validation.
        self.sums, self.validated = _no_sums(self.device), _no_sums(self.device)

    def on_train_epoch_start(self) -> None:
        """Seed what is drawn in this epoch: augmentation and dropout."""
        seed = epoch_seed(self.recipe.seed, self.current_epoch) + self.global_rank
        self.generator.manual_seed(seed)
        self.random.seed(seed)
        torch.manual_seed(seed)
        self.sums = _no_sums(self.device)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the loss of a batch.

        Raises:
            NotFinite: It is NaN or infinite.
        """
        x, labels, mask = batch
        with torch.autocast(x.device.type, enabled=False):  # samples are the same at any precision
            for place, augment in self.augmentations:
                # Clips change within their own lengths; texts say themselves where they are padded.
                also = {"mask": mask} if place == "audio" else {}
                x = augment(x, self.generator, **also)
        x = self._prepare(x)
        if self.recipe.mixup:
            scores, loss = self._blended(x, labels)
        else:
            scores = self._scores(x, mask)
            loss = self._loss(scores, labels)
        looks = 1 if loss.device.type == "cpu" else LOOKS
        if index % looks == 0 and not torch.isfinite(loss):
            raise NotFinite(
                f"The loss became {loss.item()} in epoch {self.current_epoch + 1}, batch {index + 1}."
            )
        self.sums += _sums(loss, scores, labels)
        return loss

    def train_figures(self, *, everywhere: bool = False) -> dict[str, float]:
        """Mean loss and accuracy of the batches of this epoch so far, in this process or `everywhere`.

        Raises:
            NotFinite: The loss of them everywhere is NaN or infinite.
        """
        if not everywhere:
            return _figures("train", self.sums)
        return self._finite(_figures("train", self._of_all(self.sums)), "train/loss", "loss")

    def on_validation_epoch_start(self) -> None:
        """Begin to sum."""
        self.validated = _no_sums(self.device)

    def validation_step(self, batch: Batch, index: int) -> None:
        """Sum loss and right answers of a batch; at the precision that the weights have and are used with."""
        with torch.autocast(self.device.type, enabled=False):
            scores = self._scores(self._prepare(batch.x), batch.mask)
        batches: Any = self.trainer.val_dataloaders
        if index < batches.sampler.counted:
            loss = functional.cross_entropy(scores, batch.labels)
            self.validated += _sums(loss, scores, batch.labels)

    def on_validation_epoch_end(self) -> None:
        """Log loss and accuracy of the whole split.

        Raises:
            NotFinite: The loss is NaN or infinite: the last step of the epoch can spoil the weights, too.
        """
        figures = _figures("validation", self._of_all(self.validated))
        self.log_dict(self._finite(figures, "validation/loss", "validation loss"))

    def _finite(self, figures: dict[str, float], name: str, what: str) -> dict[str, float]:
        if not math.isfinite(figures[name]):
            raise NotFinite(f"The {what} became {figures[name]} in epoch {self.current_epoch + 1}.")
        return figures

    def _of_all(self, sums: Tensor) -> Tensor:
        """The sums of all processes together."""
        together: Tensor = self.trainer.strategy.reduce(sums.clone(), reduce_op="sum")
        return together

    def configure_optimizers(self) -> Any:
        """The recipe's optimizer and schedule, stepped after every batch."""
        optimizer = make_optimizer(self.model, self.recipe)
        schedule = make_schedule(optimizer, self.recipe, self.steps)
        if schedule is None:
            return optimizer
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def whole(self) -> Model:
        """The model with all its weights, to be saved."""
        return self.model

    def _prepare(self, x: Tensor) -> Tensor:
        if self.recipe.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        return self.normalize(x)

    def _scores(self, x: Tensor, mask: Tensor | None) -> Tensor:
        compute = self.train_scores if self.training else self.model
        inputs = (x,) if mask is None else (x, mask)
        scores: Tensor
        if not (self.spectral and self.training):
            scores = compute(*inputs)
            return scores
        # Only for the time of this call, so that nothing of it stays with the model.
        hook = find_spectrogram(self.model).register_forward_hook(self._augment_spectrogram)
        try:
            scores = compute(*inputs)
        finally:
            hook.remove()
        return scores

    def _augment_spectrogram(self, module: Any, inputs: Any, x: Tensor) -> Tensor:
        _, *masks = inputs  # (N, T) of the samples, where the clips are of several lengths
        mask = module.downsample_mask(masks[0]) if masks and masks[0] is not None else None
        for augment in self.spectral:
            x = augment(x, self.generator, mask=mask)
        return x

    def _blended(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mixup (Zhang et al. 2018, arXiv 1710.09412): scores and loss of images, each blended with another."""
        drawn = self.random.betavariate(self.recipe.mixup, self.recipe.mixup)
        share = max(drawn, 1 - drawn)  # hits count against the label of the greater part
        other = torch.randperm(len(x), generator=self.generator).to(x.device)
        scores = self._scores(torch.lerp(x[other], x, share), None)
        own, others = self._loss(scores, labels), self._loss(scores, labels[other])
        return scores, share * own + (1 - share) * others

    def _loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(scores, labels, label_smoothing=self.recipe.label_smoothing)


def precision_of_sums(device: torch.device) -> torch.dtype:
    """float64, where the device has it: Apple's has not."""
    return torch.float32 if device.type == "mps" else torch.float64


def _no_sums(device: torch.device) -> Tensor:
    return torch.zeros(3, dtype=precision_of_sums(device), device=device)


def _sums(loss: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    """Loss, right answers and samples of a batch, to be added to those of others."""
    right = (scores.detach().argmax(1) == labels).sum()
    count = len(labels)
    total = loss.detach().to(precision_of_sums(loss.device)) * count
    return torch.stack([total, right, right.new_full((), count)])  # a fill: a GPU need not wait


def _figures(split: str, sums: Tensor) -> dict[str, float]:
    loss, right, count = sums.tolist()
    return {f"{split}/loss": loss / max(count, 1), f"{split}/top1": right / max(count, 1)}


def find_spectrogram(model: nn.Module) -> nn.Module:
    """The module of a model that makes a spectrogram; it says so by `makes_spectrogram`.

    Raises:
        InvalidValue: There is none.
    """
    for module in model.modules():
        if getattr(module, "makes_spectrogram", False):
            return module
    raise InvalidValue(
        "The recipe's spec_augment changes spectrograms; the model makes none. Leave it out, or use a "
        "backbone such as audio_cnn."
    )


def make_optimizer(model: Model, recipe: Recipe) -> Optimizer:
    """The recipe's optimizer. Norms, biases and other vectors have no weight decay."""
    rate = recipe.learning_rate
    rates = {"backbone": rate * recipe.backbone_rate, "attention": rate, "head": rate}
    groups = parameter_groups(model, learning_rates=rates, weight_decay=recipe.weight_decay)
    if recipe.optimizer == "sgd":
        return SGD(groups, lr=rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0)
    make: Callable[..., Optimizer] = {"adadelta": Adadelta, "adam": Adam, "adamw": AdamW}[
        recipe.optimizer
    ]
    return make(groups, lr=rate)


def make_schedule(optimizer: Optimizer, recipe: Recipe, steps: int) -> LRScheduler | None:
    """The recipe's schedule over `steps` steps; None where the learning rate is constant."""
    if steps < 2:  # a cycle of one step would be at its end, where the rate is next to nothing
        return None
    if recipe.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=steps)
    if recipe.schedule == "onecycle":
        highest = [group["lr"] for group in optimizer.param_groups]
        return OneCycleLR(optimizer, max_lr=highest, total_steps=steps, cycle_momentum=False)
    return None

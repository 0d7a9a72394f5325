"""The task that Lightning runs: one model, one recipe, cross entropy on labelled images.

Everything random in an epoch follows from the recipe's seed and the epoch's number, so that a training
that was interrupted and resumed ends at the same weights as one that was not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR
from torch.utils.data import Sampler

from zoo.train.augmentation import make_augmentation
from zoo.train.normalization import Normalization
from zoo.train.recipe import Recipe


class Task(LightningModule):
    """Train a model on batches of (uint8 images, labels).

    Args:
        model: A model of ours.
        recipe: How.
    """

    def __init__(self, model: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last) if recipe.channels_last else model
        self.recipe = recipe
        self.augmentations = [make_augmentation(step) for step in recipe.augment]
        spec: Any = model.spec
        self.normalize = Normalization(spec.input)
        self.generator = torch.Generator()

    def on_train_epoch_start(self) -> None:
        """Seed what is drawn in this epoch: augmentation and dropout."""
        seed = epoch_seed(self.recipe.seed, self.current_epoch)
        self.generator.manual_seed(seed)
        torch.manual_seed(seed)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:  # noqa: ARG002 - Lightning's
        """Return the loss of a batch."""
        images, labels = batch
        for augment in self.augmentations:
            images = augment(images, self.generator)
        scores = self.model(self._prepare(images))
        loss = functional.cross_entropy(scores, labels, label_smoothing=self.recipe.label_smoothing)
        accuracy = (scores.detach().argmax(1) == labels).float().mean()
        self.log_dict({"loss": loss.detach(), "accuracy": accuracy}, prog_bar=True, logger=False)
        figures = {"train/loss": loss.detach(), "train/top1": accuracy}
        self.log_dict(figures, on_step=False, on_epoch=True, batch_size=len(labels))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:  # noqa: ARG002 - Lightning's
        """Log loss and accuracy of a batch."""
        images, labels = batch
        scores = self.model(self._prepare(images)).float()
        figures = {
            "validation/loss": functional.cross_entropy(scores, labels),
            "validation/top1": (scores.argmax(1) == labels).float().mean(),
        }
        self.log_dict(figures, batch_size=len(labels))

    def configure_optimizers(self) -> Any:
        """The recipe's optimizer and schedule, stepped after every batch."""
        optimizer = make_optimizer(self.model, self.recipe)
        schedule = make_schedule(
            optimizer, self.recipe, int(self.trainer.estimated_stepping_batches)
        )
        if schedule is None:
            return optimizer
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def _prepare(self, images: Tensor) -> Tensor:
        if self.recipe.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return self.normalize(images)


class EpochSampler(Sampler[int]):
    """A new order of the samples in every epoch, which follows from the seed and the epoch's number."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed, self.epoch = count, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this before each."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(epoch_seed(self.seed, self.epoch))
        return iter(torch.randperm(self.count, generator=generator).tolist())

    def __len__(self) -> int:
        return self.count


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed for one epoch; different for all seeds and epochs in use."""
    return (seed * 1_000_003 + epoch * 7_919) % 2**63


def make_optimizer(model: nn.Module, recipe: Recipe) -> Optimizer:
    """The recipe's optimizer. Norms, biases and other vectors have no weight decay."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "sgd":
        return SGD(
            groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0
        )
    return (Adam if recipe.optimizer == "adam" else AdamW)(groups, lr=recipe.learning_rate)


def make_schedule(optimizer: Optimizer, recipe: Recipe, steps: int) -> LRScheduler | None:
    """The recipe's schedule over `steps` steps; None where the learning rate is constant."""
    if recipe.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=steps)
    if recipe.schedule == "onecycle":
        return OneCycleLR(
            optimizer, max_lr=recipe.learning_rate, total_steps=steps, cycle_momentum=False
        )
    return None

"""How fast `zoo train` trains: samples a second, beside a loop written by hand, and its data path alone.

    python benchmarks/train.py [image audio text] [--threads 2] [--batches 40] [--rounds 5]

Everything is synthetic: images 3x32x32, sounds of half a second at 8 kHz, texts of 5 to 40 words. The loop by
hand has the same model, optimizer, schedule, precision and batches, and nothing else: no augmentation, no
figures, no checkpoint. Both run in turn, an epoch each, the first of each kind not counted; `zoo` is the
training of an epoch as it stands in metrics.csv, without validation. On a machine that does other work, too,
`--clock cpu` counts the seconds that this process computed instead of those that passed. `data` is the data path of the recipe
that is the default for that kind of input: batches, augmentation and normalisation, without a model.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

import zoo
from zoo.train import callbacks
from zoo.train.augmentation import kind_changed_by, make_augmentation
from zoo.train.batches import EpochBatches
from zoo.train.data.dataset import Data, make_data
from zoo.train.data.splits import ImageSplit, SequenceSplit, Split
from zoo.train.fitting import fit
from zoo.train.normalization import make_normalization
from zoo.train.processor import keep_large_blocks
from zoo.train.recipe import Recipe, recipe_for
from zoo.train.run_folder import RunFolder
from zoo.train.task import make_optimizer, make_schedule


class Case(NamedTuple):
    """Data and a model for them."""

    data: Data
    model: Callable[[], zoo.Model]
    batch_size: int


def image(batches: int) -> Case:
    """`attn_cnn_small@1.0.0` on random images."""
    images = torch.randint(0, 256, (128 * batches, 3, 32, 32), dtype=torch.uint8)
    split = ImageSplit(images, torch.arange(len(images)) % 10)
    few = ImageSplit(images[:10], split.labels[:10])
    data = make_data("random", "0123456789", train=split, validation=few, test=few)
    spec = zoo.describe("attn_cnn_small@1.0.0").spec.to_data()
    spec["input"].update(mean=list(data.source.mean), std=list(data.source.std))
    spec["output"] = {"labels": list(data.labels)}
    return Case(data, lambda: zoo.compose(zoo.Spec.from_data(spec)), 128)


def audio(batches: int) -> Case:
    """A small `audio_cnn` on noise of about half a second."""
    lengths = torch.randint(2000, 6000, (32 * batches,)).tolist()
    block = {"kind": "audio", "sample_rate": 8000}
    backbone = {"name": "audio_cnn", "sample_rate": 8000, "num_mels": 40, "widths": [16, 32, 64]}
    data = _sequences([torch.randn(1, length) * 0.1 for length in lengths], block)
    attention = {"name": "se", "slot": "branch"}
    return Case(data, lambda: _compose(backbone, attention, "avg", data), 32)


def text(batches: int) -> Case:
    """Kim's `text_cnn` on random words."""
    lengths = torch.randint(5, 40, (50 * batches,)).tolist()
    words = [str(number) for number in range(10_000)]
    block = {"kind": "text", "vocabulary_size": len(words), "vocabulary_bytes": 48_889}
    data = _sequences([torch.randint(2, 10_002, (length,)) for length in lengths], block)
    attention = {"name": "se", "slot": "stage"}
    return Case(data, lambda: _compose({"name": "text_cnn"}, attention, "max", data), 50)


CASES = {"image": image, "audio": audio, "text": text}


def _sequences(samples: list[Tensor], block: dict[str, Any]) -> Data:
    split = SequenceSplit.pack(samples, torch.arange(len(samples)) % 10)
    few = SequenceSplit.pack(samples[:10], torch.arange(10))
    source = zoo.Spec.from_data({"input": block, "backbone": "any"}).input
    return Data("random", tuple("0123456789"), source, split, few, few)


def _compose(backbone: Any, attention: Any, head: str, data: Data) -> zoo.Model:
    spec = zoo.Spec.from_data(
        {
            "input": {"kind": data.source.kind, **_fields(data)},
            "backbone": backbone,
            "attention": [attention],
            "head": head,
            "output": {"labels": list(data.labels)},
        }
    )
    return zoo.compose(spec)


def _fields(data: Data) -> dict[str, Any]:
    return {name: getattr(data.source, name) for name in data.source.__struct_fields__}


def with_zoo(case: Case, recipe: Recipe) -> float:
    """Train for two epochs as `zoo train` does; samples a second of the second."""
    with tempfile.TemporaryDirectory() as folder:
        fitted = fit(case.model(), case.data, recipe, RunFolder(Path(folder) / "run"))
    return fitted.history[-1]["samples_per_second"]


def by_hand(case: Case, recipe: Recipe) -> float:
    """Train for two epochs by a loop of one's own; samples a second of the second."""
    model = case.model().train()
    if recipe.channels_last:
        model = model.to(memory_format=torch.channels_last)
    split: Split = case.data.train
    normalize = make_normalization(case.data.source)
    batches = EpochBatches(split, recipe.batch_size, seed=recipe.seed)
    optimizer = make_optimizer(model, recipe)
    schedule = make_schedule(optimizer, recipe, recipe.epochs * len(batches))
    began = 0.0
    for epoch in range(recipe.epochs):
        batches.set_epoch(epoch)
        began = callbacks.clock()
        for numbers in batches:
            x, labels, mask = split[numbers]
            if recipe.channels_last:
                x = x.contiguous(memory_format=torch.channels_last)
            x = normalize(x)
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
                scores = model(x) if mask is None else model(x, mask)
                loss = functional.cross_entropy(scores, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if schedule is not None:
                schedule.step()
    return len(batches) * recipe.batch_size / (callbacks.clock() - began)


def data_alone(case: Case, recipe: Recipe) -> float:
    """Samples a second of the batches, with the default augmentation of their kind."""
    split, normalize = case.data.train, make_normalization(case.data.source)
    augment = recipe_for({}, case.data.source).augment
    steps = [(kind_changed_by(step) == "audio", make_augmentation(step)) for step in augment]
    generator = torch.Generator().manual_seed(0)
    batches = EpochBatches(split, recipe.batch_size, seed=0)
    began = callbacks.clock()
    for numbers in batches:
        x, _, mask = split[numbers]
        for of_sounds, step in steps:
            x = step(x, generator, **({"mask": mask} if of_sounds else {}))
        normalize(x)
    return len(batches) * recipe.batch_size / (callbacks.clock() - began)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", default=list(CASES), help=", ".join(CASES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", type=int, default=40, help="an epoch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--precision", choices=("32", "bf16"), default="32")
    args = parser.parse_args()
    if torch.cuda.is_available():  # which Lightning would take, and the other loop not
        parser.error("the CPU is measured: hide the GPU with CUDA_VISIBLE_DEVICES=")
    torch.set_num_threads(args.threads)
    if args.clock == "cpu":
        callbacks.clock = time.process_time
    keep_large_blocks()
    print(
        f"{'':6}{'zoo':>9}{'by hand':>9}{'ratio':>7}   {'data':>9}{'times':>7}   samples a second"
    )
    for name in args.cases:
        case = CASES[name](args.batches)
        recipe = Recipe(
            epochs=2,
            batch_size=case.batch_size,
            precision=args.precision,
            channels_last=name == "image",
        )
        pairs = [(with_zoo(case, recipe), by_hand(case, recipe)) for _ in range(args.rounds)]
        ours, theirs = (statistics.median(rates) for rates in zip(*pairs, strict=True))
        ratio = statistics.median(one / other for one, other in pairs)
        data = statistics.median(data_alone(case, recipe) for _ in range(args.rounds))
        print(f"{name:6}{ours:9.0f}{theirs:9.0f}{ratio:7.3f}   {data:9.0f}{data / ours:7.1f}")


if __name__ == "__main__":
    main()

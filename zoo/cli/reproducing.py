"""Train a version again, as it was trained: with the same beginning, on the same samples, and compare the figures."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING

from zoo.cli.training import overrides
from zoo.errors import InvalidValue, percent

if TYPE_CHECKING:
    from zoo.spec import Version
    from zoo.train.data.dataset import Data
    from zoo.train.fitting import Fitted


def check_reproducible(version: Version | None, args: Namespace) -> Version:
    """See that a version can be trained again, and that the arguments leave it as it was.

    Raises:
        InvalidValue: There is no recipe, an option changes it, or the training began with weights that no option gives.
    """
    if version is None or not version.recipe:
        raise InvalidValue(f"--reproduce needs a version with a recipe; {args.what} is none.")
    if args.finetune or overrides(args):
        raise InvalidValue(
            f"--reproduce trains by the recipe of {version.ref} as it is; leave the other options out."
        )
    before = version.provenance.get("started_from")
    if not isinstance(before, Mapping):
        return version
    digest, ref, pretrained = (before.get(name) for name in ("sha256", "ref", "pretrained"))
    if digest is not None and args.start_from is None:
        raise InvalidValue(
            f"{version.ref} began with the weights of another training; give that file with --start-from "
            f"(sha256 {str(digest)[:12]}...)."
        )
    if ref is not None or pretrained is not None:
        origin = ref if ref is not None else f"pretrained weights of {pretrained}"
        raise InvalidValue(
            f"{version.ref} was not trained from the beginning: it was fine-tuned from {origin}. --reproduce "
            "does not do that; use --finetune."
        )
    return version


def check_weights(version: Version, start: str, digest: str) -> None:
    """See that the weights to begin with are those that the version's training began with.

    Args:
        version: What is trained again.
        start: The file of the weights.
        digest: Its sha256.

    Raises:
        InvalidValue: It began with others, or with none.
    """
    before = version.provenance.get("started_from")
    expected = before.get("sha256") if isinstance(before, Mapping) else None
    if expected is None:
        raise InvalidValue(
            f"{version.ref} did not begin with the weights of another training; leave --start-from out."
        )
    if digest != expected:
        raise InvalidValue(
            f"{version.ref} began with other weights (sha256 {str(expected)[:12]}...) than {start} has "
            f"({digest[:12]}...)."
        )


def check_samples(version: Version, data: Data) -> None:
    """See that data are those of a version, whose figures are to be compared; as far as that was noted.

    Raises:
        InvalidValue: They are others.
    """
    name, digests = (version.provenance.get(field) for field in ("data", "digests"))
    if name not in (None, data.name):
        raise InvalidValue(
            f"{version.ref} was trained on {name}, and these data are called {data.name}: --reproduce would compare "
            f"nothing. Give it {name}, or leave --reproduce out."
        )
    there = digests if isinstance(digests, Mapping) else {}
    if others := [
        split for split, digest in data.digests.items() if there.get(split, digest) != digest
    ]:
        raise InvalidValue(
            f"{version.ref} was trained on other samples than these: those of {' and '.join(others)} are not the same. "
            "Bring them back as they were, or leave --reproduce out."
        )


def compare(version: Version, fitted: Fitted, data: Data) -> None:
    """Say how the figures of a repeated training compare with the published ones."""
    from zoo.api import load
    from zoo.cli.terminal import figure, say
    from zoo.train.evaluation import evaluate

    model = load(fitted.path)
    for split in ("validation", "test"):
        name = f"{data.name}/{split}/top1"
        published = version.metrics.get(name)
        if published is None:
            continue
        accuracy = evaluate(model, data.split(split)).accuracy
        points = 100 * (accuracy - published.get("value", published["mean"]))
        say(
            f"{name}  {percent(accuracy)}, published {figure(name, published)}: {points:+.2f} points"
        )

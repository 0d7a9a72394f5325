"""Architecture names: what timm's own registry knows, checked before anything is built."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from timm.models import get_arch_pretrained_cfgs, get_pretrained_cfg, is_model, list_models

from zoo import UnknownName


def check_name(architecture: str) -> None:
    """Raise if timm has no architecture, or no pretrained tag, of that name.

    Raises:
        UnknownName: timm does not know it; the message lists the nearest names.
    """
    stem, _, tag = architecture.partition(".")
    if not is_model(stem):
        raise UnknownName(f"timm has no architecture {stem!r}. {_nearest(stem, list_models())}")
    tags = [name.partition(".")[2] for name in get_arch_pretrained_cfgs(stem)]
    if tag and tag not in tags:
        raise UnknownName(
            f"timm/{stem} has no pretrained tag {tag!r}. {_nearest(tag, filter(None, tags))}"
        )


def pretrained_config(architecture: str) -> dict[str, Any]:
    """Return what timm records of an architecture: sizes, means, classes, where weights are.

    It is empty where timm records nothing.
    """
    check_name(architecture)
    config = get_pretrained_cfg(architecture)
    return {} if config is None else vars(config)


def _nearest(name: str, known: Iterable[str], *, most: int = 8) -> str:
    names = sorted(set(known))
    close = get_close_matches(name, names, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    if not names:
        return "It has no tags."
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"Known: {', '.join(map(repr, names[:most]))}{more}."

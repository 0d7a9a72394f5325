"""Withdrawing a version: `status: {yanked: reason}`, the only thing of a version that ever changes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from zoo.errors import InvalidRef, InvalidValue, RegistryError, UnknownName, near_misses
from zoo.refs import ExactRef, Ref
from zoo.registry import INDEX, normal_base
from zoo.registry.editing import change_index, open_registry, read_draft
from zoo.registry.interface import check_interface
from zoo.registry.staging import check_target, target_of


def yank(
    text: str, base: str, *, reason: str = "", undo: bool = False, stage: Path | None = None
) -> ExactRef:
    """Withdraw a version, or take that back; see `zoo.yank`."""
    ref = Ref.parse(text)
    if ref.registry is not None:
        raise InvalidRef(
            f"{text!r:.200}: the registry is said apart; leave {ref.registry!r} and the slash out."
        )
    number = ref.number
    if number is None:
        raise InvalidRef(
            f"{text!r:.200}: say which version, with its whole number: {ref.name}@1.2.0."
        )
    if undo == bool(reason.strip()):
        raise InvalidValue(
            "Taking a withdrawal back needs no reason."
            if undo
            else "Say why the version is withdrawn (--reason); whoever asks for it is told."
        )
    base = normal_base(base)
    place = open_registry(base)
    check_target(place, base, stage)
    draft = read_draft(place, base)
    if draft.content is None:
        gone = "://" not in base and not os.path.isdir(base)
        why = "there is no such folder" if gone else f"it holds no {INDEX}"
        raise RegistryError(
            f"{base} is no registry: {why}. Give its folder or address, or a name that `zoo registry list` shows."
        )

    def edit(data: dict[str, Any]) -> None:
        entry = _entry(data, ref, base)
        status = dict(entry.get("status", {}))
        if status.get("yanked") == (None if undo else reason.strip()):
            state = "is not withdrawn" if undo else "is withdrawn for that reason already"
            raise RegistryError(f"{ref} {state} in {base}.")
        status.pop("yanked", None)
        entry["status"] = status if undo else {**status, "yanked": reason.strip()}
        if not entry["status"]:
            del entry["status"]
        if undo:  # what came after it may have gone another way
            check_interface(data, ref.name, number, entry, base)

    edit(draft.data)  # refused before anything is laid out
    data = change_index(target_of(place, base, stage, draft), base, edit)
    weights = _entry(data, ref, base).get("weights")
    return ExactRef(data["id"], ref.name, ref.number, weights["sha256"] if weights else None)


def _entry(data: dict[str, Any], ref: Ref, base: str) -> dict[str, Any]:
    variants = data["variants"]
    if ref.name not in variants:
        raise UnknownName(f"{base} has no variant {ref.name!r}. {near_misses(ref.name, variants)}")
    versions: dict[str, dict[str, Any]] = variants[ref.name]["versions"]
    if str(ref.number) not in versions:
        raise UnknownName(
            f"{base} has no {ref}. Versions of {ref.name}: {', '.join(versions) or 'none'}."
        )
    return versions[str(ref.number)]

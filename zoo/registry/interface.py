"""What users of a MAJOR number rely on: the tensors, inputs and classes of all its versions are the same."""

from __future__ import annotations

from typing import Any

from zoo.errors import RegistryError
from zoo.refs import VersionNumber
from zoo.registry.schema import is_newer
from zoo.spec import Spec


def check_interface(
    data: dict[str, Any], name: str, number: VersionNumber, entry: dict[str, Any], base: str
) -> None:
    """Refuse a version that is not what those of its MAJOR number are: `name@1` must never become another model.

    Before 1.0.0 everything may change; so may it in pre-releases, which no `name@1` stands for, and after versions
    that were withdrawn.

    Args:
        data: Of a registry's index.
        name: Of the variant.
        number: Of the version.
        entry: What the index is to say of it.
        base: Of the registry, for messages.

    Raises:
        RegistryError: Another version has another interface; the message says which.
    """
    if not _is_bound(number) or is_newer(entry):
        return
    versions = data["variants"].get(name, {"versions": {}})["versions"]
    for text, other in versions.items():
        if is_newer(other) or "yanked" in other.get("status", {}):
            continue
        there = VersionNumber.parse(text)
        if there.major != number.major or not _is_bound(there):
            continue
        if changed := _changed(other, entry):
            raise RegistryError(
                f"{name}@{number} has other {changed} than {name}@{text} in {base}, and whoever asks for "
                f"{name}@{number.major} relies on them. Publish it as {name}@{number.major + 1}.0.0."
            )


def _is_bound(number: VersionNumber) -> bool:
    return number.major > 0 and not number.pre


def _changed(before: dict[str, Any], after: dict[str, Any]) -> str | None:
    """What of a version's interface is another: tensors, inputs or classes."""
    there, here = Spec.from_data(before["spec"]), Spec.from_data(after["spec"])
    interfaces = {one["interface"] for one in (before, after) if "interface" in one}
    if len(interfaces) > 1:
        return "tensors"
    if _input(there) != _input(here):
        return "inputs"
    classes = [(spec.output.width, spec.output.labels) for spec in (there, here)]
    return "classes" if classes[0] != classes[1] else None


def _input(spec: Spec) -> list[Any]:
    """What a model takes; the means of images follow from those that it was trained on."""
    fields = ("kind", "channels", "size", "sample_rate")
    return [getattr(spec.input, field, None) for field in fields]

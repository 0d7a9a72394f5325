"""From the blocks and texts that a user gives to a spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zoo.errors import InvalidSpec
from zoo.plugins import Catalog
from zoo.plugins import catalog as default_catalog

if TYPE_CHECKING:
    from zoo.spec import Spec

Block = str | Mapping[str, Any]


def read_spec(backbone: Block, *, catalog: Catalog | None = None, **blocks: Any) -> Spec:
    """Read a spec from the short form, or from a backbone's block, and further blocks of a spec.

    An input that nobody says is the one that the backbone asks for.

    Raises:
        InvalidSpec: A text is not understood, or says what a block says, too.
        UnknownName: Nobody offers the backbone.
    """
    from zoo.grammar import parse
    from zoo.spec import Spec

    if not isinstance(backbone, str | Mapping):
        raise InvalidSpec(
            f"backbone is {backbone!r:.80}; give a name, a block {{'name': ...}} or a spec in the short form."
        )
    said = parse(backbone) if isinstance(backbone, str) else {"backbone": backbone}
    data = _said_once(said, **blocks)
    data.setdefault("input", _default_input(data["backbone"], catalog))
    return Spec.from_data(data)


def attention_blocks(attention: Block | Sequence[Block]) -> list[Block] | None:
    """One block or several as a list; None for none."""
    if isinstance(attention, str | Mapping):
        attention = [attention]
    if not isinstance(attention, Sequence):
        raise InvalidSpec(
            f"attention is {attention!r:.80}; give blocks {{'name': ..., 'slot': ...}}, one or several."
        )
    return [placed for block in attention for placed in _placements(block)] or None


def _placements(block: Block) -> Sequence[Block]:
    """What stands in the short form, `cbam@branch(reduction=8) + se@last`, as blocks."""
    from zoo.grammar import parse_attentions

    return parse_attentions(block) if isinstance(block, str) and "@" in block else [block]


def output_block(num_classes: int | None, labels: Sequence[str] | None) -> dict[str, Any] | None:
    """The output block of so many classes, or of classes with names; None where neither is said."""
    if num_classes is None and labels is None:
        return None
    if labels is not None and (isinstance(labels, str) or not isinstance(labels, Sequence)):
        raise InvalidSpec(f"labels is {labels!r:.80}; give a list of names.")
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
    asked = (offers or default_catalog()).component("backbone", name).default_input(name, block)
    return asked or {"kind": "image", "channels": 3}


def without_vocabulary(
    block: Mapping[str, Any] | None,
) -> tuple[Mapping[str, Any] | None, Sequence[str] | None]:
    """Take the tokens out of an input block of texts, and put their sizes in."""
    # What is no block is refused with the spec.
    if not isinstance(block, Mapping) or block.get("kind") != "text" or "vocabulary" not in block:
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

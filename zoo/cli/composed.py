"""What a spec composes to, and where a backbone lets attentions stand."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING, Any

from zoo import api
from zoo.cli.costs import cost_data, model_cost
from zoo.cli.opening import file_of, with_whole_input
from zoo.cli.terminal import count, printable, say, say_json
from zoo.errors import UnknownName, counted
from zoo.grammar import is_short_form, parse
from zoo.plugins import catalog

if TYPE_CHECKING:
    from zoo.composition.slots import Slot
    from zoo.spec import Spec


def show_composed(text: str, *, as_json: bool) -> None:
    """Show a spec in the short form: whole, with its parameters, and where its attentions stand."""
    from zoo.composition.building import build
    from zoo.composition.finetuning import parts
    from zoo.grammar import to_text

    model = build(api.plan_for(_spec_of_text(text)), initialize=False)
    belongs = parts(model)
    sizes = dict.fromkeys(("backbone", "attention", "head"), 0)
    for name, parameter in model.named_parameters():
        sizes[belongs[name]] += parameter.numel()
    total = sum(sizes.values())
    costs = model_cost(model)
    if as_json:
        say_json(
            {
                "spec": model.spec.to_data(),
                "text": to_text(model.spec),
                "params": total,
                "params_of": sizes,
                "cost": cost_data(costs),
                "attentions": list(model.attention_paths),
            }
        )
        return
    say(to_text(model.spec), "")
    say(f"  parameters  {total:,} ({count(total)})")
    say(*(f"    {part:10s}{size:>12,}" for part, size in sizes.items()))
    say("", f"  {printable(costs)}")
    say("", f"  {counted(len(model.attention_paths), 'attention')}")
    say(*(f"    {path}" for path in model.attention_paths))


def show_slots(what: str, *, as_json: bool) -> None:
    """Show the slots of a backbone, given by name, in the short form, or as that of a variant or file."""
    from zoo.composition.building import build_backbone
    from zoo.grammar import to_text
    from zoo.spec import HeadSpec, Spec

    spec = _spec_of(what)
    bare = Spec(input=spec.input, backbone=spec.backbone, head=HeadSpec(name="avg"))
    backbone = build_backbone(api.plan_for(bare))
    slots: list[Slot] = backbone.slots()
    if as_json:
        say_json([slot.__dict__ for slot in slots])
        return
    say(to_text(bare).split(" -> ")[1].removesuffix(" + avg"))
    say(*_tree(slots, backbone.num_features))


def _spec_of(what: str) -> Spec:
    file = file_of(what)
    if file is not None:
        from zoo.weights import opened

        with opened(file) as found:
            return found.spec
    name = what.removeprefix("backbone/")
    try:
        catalog().component("backbone", name)
    except UnknownName:
        if not is_short_form(what) and "/" not in what:
            return api.describe(what).spec
    return _spec_of_text(name)


def _spec_of_text(text: str) -> Spec:
    """The spec of a text, in which what it leaves to the data is as for any data."""
    from zoo.spec import Spec

    return Spec.from_data(with_whole_input(parse(text)))


def _tree(slots: Iterable[Slot], num_features: int) -> list[str]:
    """A branch for each stage, a line for each run of blocks that offer the same."""
    lines = []
    for stage, of_stage in groupby(
        sorted(slots, key=lambda slot: slot.stage), lambda slot: slot.stage
    ):
        own: list[Slot] = []
        blocks: dict[int, list[Slot]] = {}
        for slot in of_stage:
            own.append(slot) if slot.block is None else blocks.setdefault(slot.block, []).append(
                slot
            )
        lines.append(f"├── stage {stage}{''.join(_offer(slot) for slot in own)}")
        offers = {number: _offers(blocks[number]) for number in sorted(blocks)}
        runs = [(list(numbers), offer) for offer, numbers in groupby(offers, offers.__getitem__)]
        for position, (numbers, offer) in enumerate(runs):
            corner = "└──" if position == len(runs) - 1 else "├──"
            which = (
                f"block {numbers[0]}" if len(numbers) == 1 else f"blocks {numbers[0]}-{numbers[-1]}"
            )
            lines.append(f"│   {corner} {which:13s}{offer}")
    lines.append(f"└── last: {num_features} channels")
    return lines


def _offers(slots: list[Slot]) -> str:
    """What one block offers; a kind that stands at several places is counted."""
    texts: dict[str, int] = {}
    for slot in slots:
        text = _offer(slot).strip()
        texts[text] = texts.get(text, 0) + 1
    return "   ".join(
        f"{number} x {text}" if number > 1 else text for text, number in texts.items()
    )


def _offer(slot: Slot) -> str:
    width: Any = slot.channels
    if slot.out_channels not in (None, slot.channels):
        width = f"{slot.channels} to {slot.out_channels}"
    stride = f" stride {slot.stride}" if slot.stride != 1 else ""
    return f"   {slot.kind}: {width} channels{stride}"

"""`zoo demo`: from a name to a prediction on digits that are drawn on the spot, with a picture of it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.cli.listing import show_variants
from zoo.cli.opening import open_model
from zoo.cli.terminal import count, printable, say, table
from zoo.errors import InvalidValue, percent

if TYPE_CHECKING:
    from zoo.api import Prediction
    from zoo.composition.model import Model
    from zoo.demo.digits import Drawn
    from zoo.demo.picture import Map

_HEADINGS = {"font": "Printed", "strokes": "Drawn with a pen"}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--model",
        default="attn_cnn_mnist",
        metavar="MODEL",
        help="a ref or a file (default: attn_cnn_mnist)",
    )
    parser.add_argument(
        "--output",
        default="zoo_demo.png",
        metavar="FILE",
        help="the picture (default: zoo_demo.png)",
    )
    parser.add_argument("--no-picture", action="store_true", help="draw and classify only")


def run(args: Namespace) -> int:
    """Run the command."""
    from zoo import api
    from zoo.demo.digits import draw_digits
    from zoo.listing import list_variants

    output = Path(args.output)
    if output.suffix.lower() != ".png":
        raise InvalidValue(
            f"--output is {args.output!r}; the picture is a PNG file, so let it end with .png."
        )
    model = open_model(args.model)
    if model.num_classes != 10 or model.labels not in (None, tuple("0123456789")):
        raise InvalidValue(
            f"{args.model} does not tell the digits 0 to 9 apart, which the demo draws."
        )
    rows = list_variants()
    if rows:
        say("The variants there are:", "")
        show_variants(rows)
        say("")
    name = str(model.ref or args.model)
    drawn = draw_digits()
    found = [api.predict(model, one.image, top=1)[0] for one in drawn]
    say(f"{name} on digits that were drawn just now:", "")
    cells = [
        (
            str(one.digit),
            one.how,
            said.label,
            percent(said.probability, digits=1),
            "" if said.label == str(one.digit) else "wrong",
        )
        for one, said in zip(drawn, found, strict=True)
    ]
    say(*table(("drawn", "by", "predicted", "probability", ""), cells))
    right = sum(said.label == str(one.digit) for one, said in zip(drawn, found, strict=True))
    say("", f"{right} of {len(drawn)} are right.")
    if not args.no_picture:
        _save_picture(output, name, model, drawn, found)
        say(f"Input, prediction and where the attention looked: {output}")
    return 0


def _save_picture(
    path: Path, name: str, model: Model, drawn: list[Drawn], found: list[Prediction]
) -> None:
    from io import BytesIO

    from zoo.demo.picture import Card, Section, lay_out
    from zoo.files import write_atomically

    where, maps = _where_it_looked(model, drawn)
    cards = {how: [] for how in _HEADINGS}  # type: dict[str, list[Card]]
    for one, said, attention in zip(drawn, found, maps, strict=True):
        cards[one.how].append(
            Card(one.image, str(one.digit), printable(said.label), said.probability, attention)
        )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    parts = " + ".join(component for _, component in model.spec.components)
    picture = lay_out(
        printable(name),
        printable(f"{parts}, {count(parameters)} parameters{where}"),
        [Section(heading, cards[how]) for how, heading in _HEADINGS.items()],
    )
    content = BytesIO()
    picture.save(content, "PNG")
    write_atomically(path, content.getvalue())


def _where_it_looked(model: Model, drawn: list[Drawn]) -> tuple[str, list[Map] | list[None]]:
    """The last attention that weighs positions: a few words about it, and its map of each image."""
    import torch

    from zoo import attention_maps

    transform = model.transform()
    x = torch.stack([transform(one.image) for one in drawn])
    spatial = [
        maps.spatial for maps in attention_maps(model, x).values() if maps.spatial is not None
    ]
    if not spatial:
        return "", [None] * len(drawn)
    last = spatial[-1].float()  # (N, H, W)
    relative = last / last.mean((1, 2), keepdim=True).clamp_min(1e-12)
    return f"; attention over {last.shape[1]} x {last.shape[2]} positions", list(relative.numpy())

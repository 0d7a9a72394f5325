"""`zoo bench`: what models cost on this machine, timed side by side."""

from __future__ import annotations

import math
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from zoo.cli.arguments import add_device, add_threads
from zoo.cli.bench_rows import Contender, Row, footnote, row_data, table_lines
from zoo.cli.compiler import check_compiler
from zoo.cli.costs import INPUT_SIZES, VOCABULARY, usual_size
from zoo.cli.machine import machine_data, machine_line, open_device
from zoo.cli.opening import builder
from zoo.cli.terminal import complain, say, say_json, width, wrap
from zoo.errors import InvalidValue, ZooError, first_line, is_out_of_memory

if TYPE_CHECKING:
    from zoo.composition.model import Model
    from zoo.composition.timing import Conditions, Turn
    from zoo.spec import Input

ROUNDS = 20
_BATCH, _TRAINING_BATCH = 1, 32
_MOST_COMPILED = 8  # versions that torch keeps of one function: all our models have one in common

# Of each kind of input: what says its size, and what several are called.
_KINDS = {
    "image": ("size", "images"),
    "audio": ("seconds", "sounds"),
    "text": ("length", "texts"),
    "sequence": ("length", "sequences"),
}
# The kinds of input that an option is about.
_ABOUT = {
    "size": ("image",),
    "seconds": ("audio",),
    "length": ("text", "sequence"),
    "channels_last": ("image",),
}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "what",
        nargs="+",
        metavar="WHAT",
        help="refs, files, folders of runs, YAML files with a spec, specs in the short form"
        " ('resnet_cifar + se@branch + avg'), or architectures (timm/resnet18); only a file's weights are read",
    )
    parser.add_argument(
        "--batch",
        type=_whole,
        nargs="+",
        metavar="N",
        help=f"samples a turn, one number or several (default: {_BATCH}, with --train {_TRAINING_BATCH})",
    )
    parser.add_argument(
        "--train",
        action="store_true",
        help="time training steps: forward, cross-entropy, backward, SGD with momentum (default: inference)",
    )
    add_threads(parser)
    parser.add_argument(
        "--size",
        type=_whole,
        nargs="+",
        metavar="PIXELS",
        help="height and width of all images (default: that of the model's input, else"
        f" {INPUT_SIZES['image'][0]}); one number for square ones",
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        metavar="S",
        help="length of all sounds (default: the model's, else 1)",
    )
    parser.add_argument(
        "--length",
        type=_whole,
        metavar="N",
        help="tokens of all texts and positions of all sequences (default: the model's, else"
        f" {INPUT_SIZES['text'][0]} and {INPUT_SIZES['sequence'][0]})",
    )
    parser.add_argument(
        "--channels-last", action="store_true", help="lay images out channel by channel a pixel"
    )
    parser.add_argument("--bf16", action="store_true", help="compute with bfloat16 autocast")
    parser.add_argument(
        "--compile", action="store_true", help="compile each model for each batch (torch.compile)"
    )
    parser.add_argument(
        "--rounds",
        type=_whole,
        default=ROUNDS,
        metavar="N",
        help=f"how often each has its turn (default: {ROUNDS})",
    )
    add_device(parser)
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.epilog = (
        "The models take turns in each round, after 3 rounds that do not count. On Linux glibc is told to keep "
        "large blocks of memory, as zoo train has it; otherwise every large tensor is fetched from the system anew, "
        "which takes longer. The data are random."
    )


def run(args: Namespace) -> int:
    """Run the command."""
    if args.size is not None and len(args.size) > 2:
        raise InvalidValue(f"--size takes one number or two, height and width; got {args.size}.")
    if args.compile and len(args.what) > _MOST_COMPILED:
        raise InvalidValue(f"--compile takes at most {_MOST_COMPILED} models in one call.")
    builders = [builder(what) for what in args.what]
    conditions, is_kept = _prepare(args)
    contenders = [
        _contender(what, build, args) for what, build in zip(args.what, builders, strict=True)
    ]
    _check_options(contenders, args)
    _tell(contenders, args)
    machine = {
        **machine_data(conditions.device),
        "dtype": "bfloat16 autocast" if args.bf16 else "float32",
        "layout": "channels last" if args.channels_last else "channels first",
        "compiled": args.compile,
        "keeps_large_blocks": is_kept,
    }
    mode = "training" if args.train else "inference"
    if not args.json:
        compiled = ", compiled" if args.compile else ""
        line = f"{machine_line(machine)}; {machine['dtype']}, {machine['layout']}{compiled}; {mode}"
        say(*wrap(line, width()))
    rows = []
    for own in _measure(contenders, args, conditions):
        rows += own
        if not args.json:
            say("", f"batch {own[0].batch:,}", *table_lines(own))
        for row in own:
            if row.problem:
                complain("error", f"{row.contender.words}, batch {row.batch:,}: {row.problem}")
    if args.json:
        data = [row_data(row) for row in rows]
        say_json({"machine": machine, "mode": mode, "rounds": args.rounds, "rows": data})
    elif any(row.milliseconds for row in rows):
        say("", *footnote(args.rounds, training=args.train))
    return 1 if any(row.problem for row in rows) else 0


def _prepare(args: Namespace) -> tuple[Conditions, bool]:
    """Make this process ready: its memory, threads, device and compiler; and whether large blocks are kept."""
    from zoo.composition.timing import Conditions
    from zoo.train.processor import prepare_processor

    is_kept = prepare_processor(args.threads)
    device = open_device(args.device)
    if args.compile:
        check_compiler(device)
    conditions = Conditions(
        training=args.train,
        device=device,
        bf16=args.bf16,
        channels_last=args.channels_last,
        compiled=args.compile,
    )
    return conditions, is_kept


def _contender(what: str, build: Callable[[], Model], args: Namespace) -> Contender:
    from zoo.composition.costs import cost

    try:
        model = build()
    except ZooError as error:
        if what not in str(error):
            error.args = (f"{what}: {error}",)
        raise
    shape = _shape(model.spec.input, args)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    try:
        multiply_adds = cost(model, shape).multiply_adds
    except InvalidValue:  # it runs only on numbers; or not at this size, which its turn will say
        multiply_adds = None
    return Contender(what, model, shape, parameters, multiply_adds)


def _shape(block: Input, args: Namespace) -> tuple[int, ...]:
    """Of one sample: as asked, else as the model's input block says, else a usual one."""
    from zoo.composition.costs import input_shape

    asked = _asked_size(block, args)
    own = input_shape(block)
    if asked is None and own is not None:
        return own
    size = asked or usual_size(block)
    return size if block.kind == "text" else (block.channels, *size)


def _asked_size(block: Input, args: Namespace) -> tuple[int, ...] | None:
    if block.kind == "image" and args.size is not None:
        return args.size[0], args.size[-1]
    if block.kind == "audio" and args.seconds is not None:
        return (max(1, round(args.seconds * block.sample_rate)),)
    if block.kind in ("text", "sequence") and args.length is not None:
        return (args.length,)
    return None


def _check_options(contenders: Sequence[Contender], args: Namespace) -> None:
    """Refuse options that are about no model here."""
    there = {one.kind for one in contenders}
    for option, kinds in _ABOUT.items():
        if getattr(args, option) and there.isdisjoint(kinds):
            inputs = " and ".join(_KINDS[kind][1] for kind in kinds)
            raise InvalidValue(
                f"--{option.replace('_', '-')} is for {inputs}; no model here takes any."
            )


def _tell(contenders: Sequence[Contender], args: Namespace) -> None:
    """Tell of what was not said, and of what makes times hard to compare."""
    from zoo.composition.costs import input_shape

    for kind, (option, inputs) in _KINDS.items():
        own = [one for one in contenders if one.kind == kind]
        blocks = [one.model.spec.input for one in own]
        usual = [
            one.title for one, block in zip(own, blocks, strict=True) if input_shape(block) is None
        ]
        if usual and getattr(args, option) is None:
            at = next(one.size for one in own if one.title == usual[0])
            complain(
                "note",
                f"{inputs} of any size are taken at {at} by {', '.join(dict.fromkeys(usual))}; --{option} says another.",
            )
        if len({one.shape[-2 if kind == "image" else -1 :] for one in own}) > 1:
            complain("note", f"the models get {inputs} of several sizes; {_advice(option, blocks)}")
    wordless = [
        one.title for one in contenders if getattr(one.model.spec.input, "vocabulary_bytes", 1) == 0
    ]
    if wordless:
        complain(
            "note",
            f"no vocabulary is said by {', '.join(dict.fromkeys(wordless))}; {VOCABULARY:,} tokens are taken.",
        )


def _advice(option: str, blocks: Sequence[Input]) -> str:
    """Why the models get inputs of several sizes, or what gives all one."""
    rates = sorted({block.sample_rate for block in blocks if block.kind == "audio"})
    if len(rates) < 2:
        return f"--{option} gives all one."
    numbers = " and ".join(f"{rate:,}" for rate in rates)
    return f"they take {numbers} samples a second, and --{option} can give all one time alone."


def _measure(
    contenders: Sequence[Contender], args: Namespace, conditions: Conditions
) -> Iterator[list[Row]]:
    """Yield the rows of each batch."""
    import torch
    from tqdm import tqdm

    from zoo.composition.timing import WARM_UP, make_turn, take_turns

    batches = args.batch or [_TRAINING_BATCH if args.train else _BATCH]
    for batch in dict.fromkeys(batches):
        turns = [
            _made_at_first(partial(make_turn, one.model, one.shape, batch, conditions))
            for one in contenders
        ]
        total = WARM_UP + args.rounds
        with tqdm(
            desc=f"batch {batch}", total=total, unit="round", leave=False, disable=None
        ) as bar:
            times = take_turns(
                turns,
                rounds=args.rounds,
                synchronize=conditions.synchronize,
                after_round=bar.update,
            )
        if args.compile:
            torch.compiler.reset()  # or another batch's code would count as one version too many
        yield _rows(contenders, batch, times)


def _made_at_first(make: Callable[[], Turn]) -> Turn:
    """A turn that is made when it is first taken, so that what goes wrong there is its own failure."""
    made: list[Turn] = []

    def turn() -> None:
        if not made:
            made.append(make())
        made[0]()

    return turn


def _rows(
    contenders: Sequence[Contender], batch: int, times: Sequence[list[float] | Exception]
) -> list[Row]:
    rows: list[Row] = []
    for contender, own in zip(contenders, times, strict=True):
        if isinstance(own, Exception):
            rows.append(Row(contender, batch, [], None, _reason(own)))
            continue
        row = Row(contender, batch, [1000 * seconds for seconds in own], None, "")
        first = rows[0] if rows else row
        ratio = row.median / first.median if first.milliseconds else None
        rows.append(row._replace(ratio=ratio))
    return rows


def _reason(error: Exception) -> str:
    if is_out_of_memory(error):
        return "there is not enough memory; give a smaller --batch or input."
    return first_line(error)


def _whole(text: str) -> int:
    """A whole number of at least 1; argparse names the option."""
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        hint = "" if text[:1].isdigit() or text[:1] == "-" else "; models stand before the options"
        raise ArgumentTypeError(f"{text!r} is no whole number of at least 1{hint}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ArgumentTypeError(f"{text!r} is no time in seconds; give e.g. 1 or 0.5")
    return number

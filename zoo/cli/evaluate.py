"""`zoo evaluate`: measure a model on data with known classes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from zoo.cli.data_arguments import add_data_arguments, data_request
from zoo.cli.opening import open_model
from zoo.cli.terminal import say, say_json
from zoo.errors import InvalidValue

SUMMARY = "measure a variant or a file on data"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("what", help="a ref, or a file that zoo.save wrote")
    add_data_arguments(parser, required=True)
    parser.add_argument(
        "--split", choices=("test", "validation"), default="test", help="(default: test)"
    )
    parser.add_argument("--threads", type=int, help="of the CPU (default: all cores)")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: Namespace) -> int:
    """Run the command."""
    from zoo.cli.train import set_threads
    from zoo.train.allocator import keep_large_blocks
    from zoo.train.data import open_data
    from zoo.train.evaluation import evaluate

    keep_large_blocks()
    if args.threads is not None:
        set_threads(args.threads)
    model = open_model(args.what)
    vocabulary = None if model.vocabulary is None else model.vocabulary.tokens()
    data = open_data(data_request(args), model.spec.to_data()["input"], vocabulary=vocabulary)
    if model.labels is not None and model.labels != data.labels:
        raise InvalidValue(
            f"{args.what} tells {', '.join(model.labels)} apart; {data.name} has {', '.join(data.labels)}."
        )
    score = evaluate(model, data.split(args.split))
    name = f"{data.name}/{args.split}"
    if args.json:
        say_json(
            {f"{name}/top1": score.accuracy, f"{name}/loss": score.loss, "samples": score.samples}
        )
    else:
        say(
            f"{name}  accuracy {score.accuracy:.2%}  loss {score.loss:.4f}  ({score.samples:,} samples)"
        )
    return 0

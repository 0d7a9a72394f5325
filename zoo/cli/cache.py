"""`zoo cache`: what is kept of registries elsewhere."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace

from zoo.cli.arguments import add_actions, duration
from zoo.cli.terminal import say, say_json, size, table, width
from zoo.store.cache import Cache, default_cache


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = add_actions(
        parser,
        {
            "ls": "list the weights in the cache",
            "prune": "delete what nobody used for some time; it is fetched again when needed",
            "path": "print the folder of the cache",
        },
    )
    actions["ls"].add_argument("--json", action="store_true", help="for programs")
    actions["prune"].add_argument(
        "--older", metavar="TIME", required=True, help="not used for so long: 90d, 12h, 30m, 2w"
    )


def run(args: Namespace) -> int:
    """Run the command."""
    cache = default_cache()
    if args.action == "path":
        say(str(cache.root))
    elif args.action == "prune":
        seconds = duration(args.older, "--older")
        _prune(cache, seconds)
    else:
        _list(cache, as_json=args.json)
    return 0


def _prune(cache: Cache, seconds: float) -> None:
    from zoo.registry.remote import prune_indices

    blobs = cache.prune(seconds)
    indices = prune_indices(cache.root, seconds)
    freed = sum(blob.size for blob in blobs)
    say(f"Deleted: weights {len(blobs)} ({size(freed)}), indices {indices}.")


def _list(cache: Cache, *, as_json: bool) -> None:
    from zoo.registry.remote import in_words
    from zoo.registry.seen import Seen

    refs: dict[str, list[str]] = {}
    for one in Seen(cache.root).versions():
        refs.setdefault(one.ref.sha256 or "", []).append(str(one.ref))
    blobs = sorted(cache.blobs(), key=lambda blob: -blob.used)
    rows = [
        {
            "refs": refs.get(blob.sha256, []),
            "size": blob.size,
            "used": blob.used,
            "sha256": blob.sha256,
            "path": str(blob.path),
        }
        for blob in blobs
    ]
    if as_json:
        say_json(rows)
        return
    if not blobs:
        say(f"There are no weights in {cache.root}. Those of registries in folders stay there.")
        return
    now = time.time()
    cells = [
        (", ".join(refs.get(b.sha256, [])), size(b.size), f"{in_words(now - b.used)} ago", b.sha256)
        for b in blobs
    ]
    say(*table(("ref", "size", "used", "sha256"), cells, wrapped=0, columns=width()))
    total = size(sum(blob.size for blob in blobs))
    say(f"Files: {len(blobs)}, {total}, in {cache.root}")

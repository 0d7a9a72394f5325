"""The processes that `test_kills.py` kills: one process imports everything once, and forks a child for each job.

A line on standard input is a job as JSON, `{"job": name, "cache": folder, ...}`, answered by the number of its process;
or `{"wait": number}`, answered by how that one ended. With `"fatal": n, "within": folder` a child kills itself
right before its n-th operation on a file below that folder.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

_OPERATIONS = ("open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.truncate", "os.utime")


def download(address: str, sha256: str, size: int) -> None:
    """Fetch a blob."""
    from zoo.store.cache import default_cache
    from zoo.store.fetching import fetch_blob
    from zoo.store.http import HttpPlace

    fetch_blob(HttpPlace(address), sha256, size, default_cache())


def refresh(address: str) -> None:
    """Fetch the index of a registry, compile it, and remember its serial."""
    import zoo

    zoo.Registry(address, name="team").refresh()


def build_index(file: str) -> None:
    """Compile the index of a registry."""
    from zoo.registry.index import open_index
    from zoo.store import cache_folder

    open_index(Path(file), cache_folder() / "index")


def prune(older: float) -> None:
    """Delete what nobody used for some time, as `zoo cache prune` does."""
    from zoo.registry.remote import prune_indices
    from zoo.store import cache_folder
    from zoo.store.cache import default_cache

    default_cache().prune(older)
    prune_indices(cache_folder(), older)


def save(spec: dict[str, Any], value: float, file: str) -> None:
    """Save a model all of whose parameters are `value`."""
    import torch

    import zoo

    model = _model(json.dumps(spec))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
    zoo.save(model, file)


def publish(file: str, registry: str, version: str) -> None:
    """Publish a file; it is examined in this process, as a fresh one takes seconds and writes nothing."""
    import zoo
    from zoo.registry import examination, publishing

    publishing.examine_afresh = examination.examine
    zoo.publish(file, registry=registry, name="our_cnn", version=version)


@cache
def _model(spec: str) -> Any:
    import zoo

    return zoo.compose(zoo.Spec.from_data(json.loads(spec)))


def _prepare(job: str, arguments: dict[str, Any]) -> None:
    """Import what the job needs before the fork, so that the child spends its time on the job."""
    modules = ["registry.compiling", "registry.reader", "registry.schema", "store.connections"]
    if job in ("save", "publish"):
        modules += ["api", "weights", "registry.publishing"]
    for name in modules:
        import_module(f"zoo.{name}")
    if job == "save":
        _model(json.dumps(arguments["spec"]))


def _die_before(count: int, folder: str) -> None:
    """Kill this process before an operation: one that the interpreter reports, or a sync."""
    left = count

    def step() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _OPERATIONS and str(arguments[0]).startswith(folder):
            step()

    sync = os.fsync

    def counted_sync(handle: int) -> None:
        step()
        sync(handle)

    os.fsync = counted_sync  # it reports nothing
    sys.addaudithook(watch)


def _work(job: Callable[..., None], given: dict[str, Any]) -> int:
    os.environ["ZOO_CACHE"] = given.pop("cache")
    fatal, within = given.pop("fatal", 0), given.pop("within", "")
    if fatal:
        _die_before(fatal, within)
    try:
        job(**given)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    """Answer line by line."""
    jobs = {job.__name__: job for job in (download, refresh, build_index, prune, save, publish)}
    for line in sys.stdin:
        given = json.loads(line)
        if "wait" in given:
            _, status = os.waitpid(given["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            name = given.pop("job")
            _prepare(name, given)
            answer = os.fork()
            if answer == 0:
                os._exit(_work(jobs[name], given))
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

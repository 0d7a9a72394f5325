"""`zoo doctor`: check this installation, and say what to do about what is wrong."""

from __future__ import annotations

import platform
import sys
import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from zoo.cli.plugins import clash_message, name_clashes, quiet_catalog
from zoo.cli.terminal import say, say_json, width, wrap
from zoo.errors import ZooError

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.component import Component
    from zoo.registry import Registry

OK, WARNING, PROBLEM = "ok", "warning", "problem"
_DISTRIBUTION = "attn-zoo"


class Finding(NamedTuple):
    """What a check found: `state` is ok, warning or problem; `advice` says what to do."""

    state: str
    what: str
    advice: str = ""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: Namespace) -> int:
    """Run the command."""
    findings = []
    for check in CHECKS:
        for finding in check():
            findings.append(finding)
            if not args.json:
                say(*_lines(finding))
    states = [finding.state for finding in findings]
    if args.json:
        say_json([finding._asdict() for finding in findings])
    else:
        numbers = [_number(states.count(state), state) for state in (PROBLEM, WARNING)]
        say("", ", ".join(numbers) + ".")
    return 1 if PROBLEM in states else 0


def check_python() -> Iterator[Finding]:
    """The interpreter that runs this."""
    yield Finding(OK, f"Python {platform.python_version()} at {sys.executable}")


def check_requirements() -> Iterator[Finding]:
    """Every distribution that ours requires, and those of its extra `train`, by their versions."""
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    try:
        texts = requires(_DISTRIBUTION) or []
    except PackageNotFoundError:
        yield Finding(
            WARNING,
            f"{_DISTRIBUTION} is not installed, only importable",
            f"pip install {_DISTRIBUTION}",
        )
        return
    for requirement in map(Requirement, texts):
        needed = requirement.marker is None or requirement.marker.evaluate()
        if not needed and not (
            requirement.marker and requirement.marker.evaluate({"extra": "train"})
        ):
            continue
        state = PROBLEM if needed else WARNING
        advice = (
            f"pip install '{requirement.name}{requirement.specifier}'"
            if needed
            else f"pip install '{_DISTRIBUTION}[train]'"
        )
        try:
            have = version(requirement.name)
        except PackageNotFoundError:
            use = "" if needed else "; only `zoo train` needs it"
            yield Finding(state, f"{requirement.name} is not installed{use}", advice)
            continue
        if requirement.specifier.contains(have, prereleases=True):
            yield Finding(OK, f"{requirement.name} {have}")
        else:
            yield Finding(
                state, f"{requirement.name} {have} is not {requirement.specifier}", advice
            )


def check_torch() -> Iterator[Finding]:
    """Whether torch computes, and on what."""
    try:
        import torch

        two = float(torch.ones(2).sum())
        there = torch.cuda.is_available()
        devices = _number(torch.cuda.device_count(), "GPU") if there else "no GPU"
    except Exception as error:
        yield Finding(
            PROBLEM, f"torch does not work: {type(error).__name__}: {error}", "Reinstall torch."
        )
        return
    if two != 2.0:
        yield Finding(PROBLEM, f"torch adds 1 and 1 to {two}", "Reinstall torch.")
    else:
        threads = _number(torch.get_num_threads(), "thread")
        yield Finding(OK, f"torch computes with {threads} and {devices}")


def check_plugins() -> Iterator[Finding]:
    """Whether every plug-in loads, and every class that it offers."""
    offers = quiet_catalog()
    for plugin in offers.plugins:
        name = f"plug-in {plugin.entry.name} of {plugin.entry.distribution} {plugin.entry.version}"
        if plugin.state == "broken":
            yield Finding(
                PROBLEM,
                f"{name} is broken: {plugin.problem}",
                f"Upgrade {plugin.entry.distribution}, uninstall it, or set ZOO_DISABLE_PLUGINS={plugin.entry.name}.",
            )
        elif plugin.state == "disabled":
            yield Finding(
                WARNING, f"{name} is switched off", "Take it out of ZOO_DISABLE_PLUGINS to use it."
            )
        else:
            failures = [
                failure for component in plugin.components if (failure := _load_failure(component))
            ]
            yield from (
                Finding(PROBLEM, failure, f"Upgrade {plugin.entry.distribution}.")
                for failure in failures
            )
            if not failures:
                number = len(plugin.components)
                loaded = f"{_number(number, 'component')} load{'s' * (number == 1)}"
                yield Finding(OK, f"{name}: {loaded}")
    for title, origins in name_clashes(offers).items():
        what, _, advice = clash_message(title, origins).partition(". ")
        yield Finding(PROBLEM, what, advice)


def check_registries() -> Iterator[Finding]:
    """Whether every registry can be read, and every blob of those that came with packages is what was published."""
    from zoo.registry import Registry
    from zoo.registry.configured import read_configured
    from zoo.registry.defaults import builtin_folder

    reinstall = "Reinstall the package that brings it."
    try:
        builtin = Registry(builtin_folder(), name="zoo", installed=True)
        yield from _check_registry("the built-in registry", builtin, reinstall)
    except ZooError as error:
        yield Finding(PROBLEM, str(error), f"pip install --force-reinstall {_DISTRIBUTION}")
    for base in quiet_catalog().registries:
        try:
            brought = Registry(base, installed=True)
        except ZooError as error:
            yield Finding(PROBLEM, f"a plug-in's registry cannot be read: {error}", reinstall)
        else:
            yield from _check_registry("a plug-in's registry", brought, reinstall)
    try:
        for one in read_configured():
            added = Registry(one.base, name=one.name)
            advice = f"Mend it, or drop it: zoo registry remove {one.name}"
            yield from _check_registry(f"the registry {one.name}", added, advice)
    except ZooError as error:
        yield Finding(PROBLEM, str(error), "Mend that file, or delete it.")


def _check_registry(whose: str, registry: Registry, advice: str) -> Iterator[Finding]:
    from zoo.registry.remote import in_words

    try:
        index = registry.cached_index()
    except ZooError as error:
        yield Finding(PROBLEM, f"{whose} cannot be read: {error}", advice)
        return
    if index is None:
        what = f"{whose} at {registry.base} was never fetched"
        yield Finding(WARNING, what, "zoo registry refresh")
        return
    what = f"{whose} {index.id} at {registry.base}"
    age = registry.index_age()
    if age is not None:  # it lies elsewhere, and is not asked: only the copy here was read
        what += f", not asked now; its cached index, fetched {in_words(age)} ago"
    variants = _number(len(index.names()), "variant")
    yield Finding(OK, f"{what}: {variants}, serial {index.serial}")
    yield from (Finding(WARNING, skipped, "Upgrade attn-zoo.") for skipped in index.skipped)
    if registry.installed and registry.root is not None:
        yield from _check_blobs(registry, registry.root)


def check_cache() -> Iterator[Finding]:
    """Whether the cache can be written to."""
    import tempfile

    from zoo.store import cache_folder

    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield Finding(
            WARNING,
            f"the cache {folder} cannot be written to: {error.strerror or error}; every command starts slower",
            "Set ZOO_CACHE to a folder of yours.",
        )
    else:
        yield Finding(OK, f"the cache {folder} can be written to")


CHECKS = (
    check_python,
    check_requirements,
    check_torch,
    check_plugins,
    check_registries,
    check_cache,
)


def _number(number: int, noun: str) -> str:
    """So many of a thing: `1 variant`, `2 variants`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def _load_failure(component: Component) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            component.load()
        except ZooError as error:
            return str(error)
    return ""


def _check_blobs(registry: Registry, root: Path) -> Iterator[Finding]:
    from zoo.store import read_blob

    for listing in registry.index.listings():
        weights = registry.index.data(listing.name, listing.number).get("weights")
        if not weights:
            continue
        name = f"{listing.name}@{listing.number}"
        try:
            read_blob(root, weights["sha256"], weights["size"])
        except ZooError as error:
            yield Finding(
                PROBLEM, f"{name}: {error}", "Reinstall the package that brings the registry."
            )
        else:
            yield Finding(
                OK,
                f"{name}: {weights['size']:,} bytes of weights have the digest that was published",
            )


def _lines(finding: Finding) -> list[str]:
    columns = width()
    lines = wrap(finding.what, None if columns is None else columns - 10)
    if finding.advice:
        lines += wrap(f"-> {finding.advice}", None if columns is None else columns - 10)
    return [
        f"{finding.state if number == 0 else '':<9} {line}" for number, line in enumerate(lines)
    ]

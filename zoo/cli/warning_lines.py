"""Warnings of ours, each as one line that says what and nothing of where in the code."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def readable_warnings() -> Iterator[None]:
    """Show warnings of ours as `zoo: warning: ...`, each once; all others as Python does."""
    from zoo.cli.terminal import complain
    from zoo.plugins import PluginWarning
    from zoo.registry.remote import RegistryWarning
    from zoo.registry.resolving import YankedWarning

    shown: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, ours):
            others(message, category, *where, **more)
        elif str(message) not in shown:
            shown.add(str(message))
            complain("warning", str(message))

    ours = (PluginWarning, RegistryWarning, YankedWarning)
    with warnings.catch_warnings():
        others = warnings.showwarning
        warnings.showwarning = show
        for category in ours:
            warnings.simplefilter("always", category)
        yield

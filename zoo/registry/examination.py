"""Examining a file before it is published, in a fresh process: as a stranger would load it.

Loading compares its tensors with those that its spec builds; what is registered in the publisher's process, and lies in
no package, is not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from zoo.errors import WeightsError, ZooError


def examine_afresh(path: Path) -> dict[str, Any]:
    """Let a fresh process examine a file; see `examine`.

    Raises:
        WeightsError: It cannot be loaded, or holds NaN.
    """
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        # -P: no module of the folder one happens to be in, which may be full of downloads.
        [sys.executable, "-P", "-m", "zoo.registry.examination", str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        check=False,
    )
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise WeightsError(
            f"Not published, because a fresh process cannot load the file: {reason[0]}"
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def examine(path: Path) -> dict[str, Any]:
    """Load a file, and return what a registry says of it.

    Raises:
        ZooError: It cannot be loaded, or holds NaN.
    """
    from zoo import __version__
    from zoo.api import load
    from zoo.weights import interface, not_finite

    model = load(path)
    if bad := not_finite(model):
        raise WeightsError(
            f"{path}: the tensor {bad!r} holds NaN or infinity; train again, or from an earlier checkpoint."
        )
    with open(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "spec": model.spec.to_data(),
        "interface": interface(model),
        "params": sum(parameter.numel() for parameter in model.parameters()),
        "version": __version__,
        "sha256": sha256,
    }


def _main() -> None:
    try:
        found = examine(Path(sys.argv[1]))
    except ZooError as error:
        sys.exit(str(error))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    _main()

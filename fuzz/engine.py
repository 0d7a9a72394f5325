"""Run one target under atheris, in this process: `python engine.py FILE:FUNCTION [libFuzzer options]`.

Only `fuzz.py` calls it, so that a crash of this process is a finding and not the end.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import atheris


def load(path: Path) -> ModuleType:
    """Import a file of targets, its own code and ours watched for what is reached."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with atheris.instrument_imports(include=["zoo", path.stem]):
        spec.loader.exec_module(module)
    return module


def main() -> None:
    """Write the seeds and the words, and go."""
    path, _, name = sys.argv[1].rpartition(":")
    module = load(Path(path))
    folder = Path(sys.argv[-1])
    target = getattr(module, name)
    for number, seed in enumerate(getattr(module, "SEEDS", {}).get(name, [])):
        content = seed() if callable(seed) else seed
        target(content)  # imports what it needs, which is not to count as slowness
        (folder / f"seed-{number}").write_bytes(content)
    options = sys.argv[2:]
    if words := getattr(module, "WORDS", {}).get(name, []):
        escaped = ["".join(f"\\x{byte:02x}" for byte in word.encode()) for word in words]
        dictionary = folder.with_name("words")
        dictionary.write_text("".join(f'"{word}"\n' for word in escaped))
        options.insert(0, f"-dict={dictionary}")
    atheris.Setup([sys.argv[0], *options], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

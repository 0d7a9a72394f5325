"""Checks that are taken out in a copy of zoo: then tests fail, or they would not have noticed either."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (ROOT / "pyproject.toml").is_file(), reason="needs the sources beside the tests"
    ),
]

SERVERS = "tests/faults/test_server_faults.py"


def run(copy: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests of the copy on the code of the copy."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": f"{copy}{os.pathsep}{copy / 'plugins'}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("file", "check", "without", "tests"),
    [
        pytest.param(
            "zoo/store/partials.py",
            "self.done == self.size and self._digest.hexdigest() == self.sha256",
            "self.done == self.size",
            f"{SERVERS}::test_other_bytes_of_the_same_size",
            id="the digest of what was fetched",
        ),
        pytest.param(
            "zoo/store/fetching.py",
            "if partial.done + len(chunk) > size:",
            "if False:",
            f"{SERVERS}::test_an_endless_body",
            id="the size of what is being fetched",
        ),
        pytest.param(
            "zoo/store/__init__.py",
            "if len(content) != size or found != sha256:",
            "if len(content) != size:",
            "tests/zoo/store/test_store.py",
            id="the digest of what is read",
        ),
        pytest.param(
            "zoo/store/cache.py",
            "if found != blob.sha256:",
            "if False:",
            "tests/zoo/store/test_cache.py",
            id="the digest when all is hashed again",
        ),
        pytest.param(
            "zoo/store/http.py",
            "authorization if own else None",
            "authorization",
            f"{SERVERS}::test_a_redirect_to_another_host",
            id="the origin of credentials",
        ),
        pytest.param(
            "zoo/store/addresses.py",
            'origin_of(address).scheme == "https" and new.scheme == "http"',
            "False",
            f"{SERVERS}::test_a_redirect_from_https_to_http",
            id="the way down from https",
        ),
        pytest.param(
            "zoo/registry/index.py",
            "if compile_index(file, source, connection) != digest:",
            "if compile_index(file, source, connection) is None:",
            "tests/zoo/registry/test_index.py",
            id="the digest of what was compiled",
        ),
        pytest.param(
            "zoo/registry/private.py",
            "if found.st_uid != os.geteuid():",
            "if False:",
            "tests/zoo/registry/test_private.py",
            id="the owner of an index",
        ),
        pytest.param(
            "zoo/registry/reader.py",
            "if event.value in self._containers[-1]:",
            "if False:",
            "tests/zoo/registry/test_reader.py",
            id="names that stand twice",
        ),
        pytest.param(
            "zoo/weights.py",
            "if entry.end - entry.begin != size:",
            "if False:",
            "tests/zoo/test_weights.py",
            id="the bytes of a tensor against its shape",
        ),
    ],
)
def test_the_suite_notices_a_check_that_is_gone(
    tmp_path: Path, file: str, check: str, without: str, tests: str
) -> None:
    """Red without it; green with it, as the tests themselves show when they run."""
    copy = tmp_path / "copy"
    for folder in ("zoo", "plugins", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    source = copy / file
    before = source.read_text()
    assert before.count(check) == 1, "the check has changed: change this test, too"
    source.write_text(before.replace(check, without))
    mutated = run(copy, tests)
    assert mutated.returncode == 1, mutated.stdout
    assert "1 failed" in mutated.stdout

"""Compiling takes one variant at a time."""

from __future__ import annotations

import io
import sqlite3
import tracemalloc
from contextlib import closing

import pytest

from zoo import RegistryError
from zoo.registry.compiling import compile_index

VERSION = '{versions: {"1.0.0": {spec: {backbone: {name: b}}, provenance: {notes: "%s"}}}}'


def registry(variants: int) -> bytes:
    """A registry with entries of about 1 KB."""
    rows = [f"  net_{number}: {VERSION % ('x' * 900)}\n" for number in range(variants)]
    return "".join(["schema: 1\nid: tests\nserial: 1\nvariants:\n", *rows]).encode()


def compiled(content: bytes) -> sqlite3.Connection:
    """The tables of a registry."""
    connection = sqlite3.connect(":memory:")
    compile_index(io.BytesIO(content), "r.yaml", connection)
    return connection


def test_memory_does_not_grow_with_the_registry() -> None:
    """Ten times the variants, about the same memory: only names are kept (SQLite's own is not counted here)."""
    peaks = []
    for variants in (150, 1500):
        content = registry(variants)
        tracemalloc.start()
        compiled(content).close()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 2_000_000  # one read of the file is 1 MB; its data would take 5


def test_a_fault_in_a_later_variant_leaves_an_error_with_its_line() -> None:
    """Though earlier ones were taken in already."""
    content = registry(3) + b"  bad: {versions: {1.0.0: {spec: 3}}}\n"
    with pytest.raises(RegistryError, match=r"r\.yaml:8: variants\.bad\.versions\.1\.0\.0"):
        compiled(content)


def test_a_newer_schema_is_told_before_its_variants_are_read() -> None:
    """They may look like anything."""
    content = registry(1).replace(b"schema: 1", b"schema: 2").replace(b"spec", b"plan")
    with pytest.raises(RegistryError, match=r"schema 2; this version reads up to 1. Upgrade"):
        compiled(content)


def test_the_top_may_stand_below_the_variants() -> None:
    """A mapping has no order."""
    lines = registry(2).splitlines(keepends=True)
    with closing(compiled(b"".join([*lines[3:], *lines[:3]]))) as connection:
        assert connection.execute("SELECT * FROM head").fetchone() == ("tests", 1)
        assert connection.execute("SELECT count(*) FROM versions").fetchone() == (2,)

"""What is known of a data set before it is read."""

from __future__ import annotations

from pathlib import Path

from zoo.train.data.listing import Item


def test_a_sample_is_read_from_a_file_from_memory_or_as_a_text(tmp_path: Path) -> None:
    """A text is never taken for the name of a file."""
    (tmp_path / "file").write_bytes(b"content")
    contents: list[Path | bytes | str] = [tmp_path / "file", b"content", str(tmp_path / "file")]
    found = [Item("x", "a", content).read() for content in contents]
    assert found == [b"content", b"content", str(tmp_path / "file")]

"""Installed distributions and their entry points, as `importlib.metadata` would find them."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

from zoo.distributions import EntryPoint, installed_entry_points


def install(folder: Path, name: str, version: str = "1.0", entries: str = "[zoo]\na = a\n") -> None:
    """Write the metadata of a distribution."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: no\n"
    )
    (info / "entry_points.txt").write_text(entries)


def test_what_is_installed_here_is_what_importlib_finds() -> None:
    """The quick way and the slow one agree."""
    slow = {
        (one.name, one.value, one.dist.name, one.dist.version)
        for one in entry_points(group="zoo")
        if one.dist is not None
    }
    quick = {(e.name, e.module, e.distribution, e.version) for e in installed_entry_points()}
    assert quick == slow
    assert len(quick) >= 4


def test_entry_points_of_other_groups_are_not_ours(tmp_path: Path) -> None:
    """Comments and sections around ours are passed over."""
    text = "[console_scripts]\nx = x:main\n\n[zoo]\n# words\na = a.b:hooks\n\n[zoological]\nb = b\n"
    install(tmp_path, "my-dist", "2.1", text)
    assert installed_entry_points([str(tmp_path)]) == [
        EntryPoint("a", "a.b:hooks", "my-dist", "2.1")
    ]


def test_the_first_of_two_installations_hides_the_later(tmp_path: Path) -> None:
    """However its name is written."""
    install(tmp_path / "1", "my-dist", "2.0")
    install(tmp_path / "2", "My.Dist", "1.0")
    found = installed_entry_points([str(tmp_path / "1"), str(tmp_path / "2")])
    assert [entry.version for entry in found] == ["2.0"]


def test_folders_that_are_gone_and_broken_metadata_are_passed_over(tmp_path: Path) -> None:
    """Discovery never fails."""
    install(tmp_path, "good")
    broken = tmp_path / "broken-1.dist-info"
    broken.mkdir()
    (broken / "entry_points.txt").write_bytes(b"[zoo]\n\xff\xfe = \n")
    (tmp_path / "file.dist-info").write_text("no folder")
    found = installed_entry_points([str(tmp_path / "gone"), str(tmp_path)])
    assert [entry.distribution for entry in found] == ["good"]


def test_a_release_without_entry_points_hides_an_older_one_with_some(tmp_path: Path) -> None:
    """Python would import the first, which declares nothing any more."""
    install(tmp_path / "1", "my-dist", "2.0", entries="[console_scripts]\nx = x:main\n")
    install(tmp_path / "2", "my-dist", "1.0")
    assert installed_entry_points([str(tmp_path / "1"), str(tmp_path / "2")]) == []
    assert len(installed_entry_points([str(tmp_path / "2")])) == 1

"""From an address to a place."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo import InvalidValue, UnknownName
from zoo.plugins import Catalog
from zoo.store.folder import FolderPlace
from zoo.store.http import HttpPlace
from zoo.store.places import open_place

NO_PLUGINS = Catalog(entries=[])


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_folder(tmp_path: Path, form: str) -> None:
    """As a path or an address."""
    place = open_place(form.format(tmp_path), offers=NO_PLUGINS)
    assert isinstance(place, FolderPlace)
    assert place.root == tmp_path


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_web_address(scheme: str) -> None:
    """A slash at its end makes no difference."""
    place = open_place(f"{scheme}://host/zoo/", registry="team", offers=NO_PLUGINS)
    assert isinstance(place, HttpPlace)
    assert place.base == f"{scheme}://host/zoo"


def test_a_scheme_that_nobody_offers() -> None:
    """With the near miss."""
    with pytest.raises(UnknownName, match=r"No transport reaches htps:// .* 'https'"):
        open_place("htps://host/zoo", offers=NO_PLUGINS)


@pytest.mark.parametrize("base", ["https://host/zoo?a=b", "https://host/zoo#a"])
def test_a_web_address_of_no_folder(base: str) -> None:
    """Paths are put behind it."""
    with pytest.raises(
        InvalidValue, match=r"https://host/zoo: the address of a registry is that of a folder"
    ):
        open_place(base, offers=NO_PLUGINS)

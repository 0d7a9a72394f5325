"""The list of registries: what is written is read, and what people write by hand is checked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from zoo import InvalidValue, RegistryError, UnknownName
from zoo.registry.configured import (
    Configured,
    config_file,
    read_configured,
    with_added,
    without,
    write_configured,
)

TEAM = Configured("team", "https://models.example.org/zoo")
OURS = Configured("ours", "/srv/a zoo")


def write(text: str) -> None:
    """Write the list by hand."""
    config_file().write_text(text, encoding="utf-8")


def test_without_a_file_there_are_none() -> None:
    """And none is made by looking."""
    assert read_configured() == []
    assert not config_file().exists()


def test_what_is_written_is_read_in_order() -> None:
    """The order is that of looking up."""
    write_configured([TEAM, OURS])
    assert read_configured() == [TEAM, OURS]
    write_configured([])
    assert read_configured() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.text(min_size=1))
@example('a "b" # : {} \\')
@example("\x7f")
@example("\U0001f600")
def test_any_folder_survives_or_is_refused(name: str) -> None:
    """Quotes, backslashes and every letter; nothing that does not print."""
    base = os.path.abspath(f"/srv/{name}")
    if base.isprintable():
        write_configured(with_added([], "team", base))
        assert read_configured() == [Configured("team", base)]
        text = config_file().read_text(encoding="utf-8")
        config_file().write_text(f"# by hand\n{text}", encoding="utf-8")
        assert read_configured() == [Configured("team", base)]
    else:
        with pytest.raises(InvalidValue, match="signs that do not print"):
            with_added([], "team", base)


@pytest.mark.parametrize(
    "text",
    [
        "- {name: team, base: https://models.example.org/zoo}\n- {base: /srv/a zoo, name: ours}\n",
        "# ours\n- name: team\n  base: https://models.example.org/zoo\n\n- name: 'ours'\n  base: '/srv/a zoo'",
        '[{"name": "team", "base": "https://models.example.org/zoo"}, {"name": "ours", "base": "/srv/a zoo"}]',
    ],
)
def test_people_may_write_it_as_they_like(text: str) -> None:
    """It is YAML, with comments."""
    write(text)
    assert read_configured() == [TEAM, OURS]


def test_an_address_written_by_hand_comes_in_its_one_form() -> None:
    """What is seen under one form is seen under all."""
    write("- {name: team, base: HTTPS://models.example.org/zoo/}\n- {name: home, base: ~/zoo}\n")
    team, home = read_configured()
    assert team.base == "https://models.example.org/zoo"
    assert home.base == str(Path("~/zoo").expanduser())


def test_a_comment_alone_is_an_empty_list() -> None:
    """As somebody leaves it who takes the last one out."""
    write("# nothing\n")
    assert read_configured() == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: team", "is no list"),
        ("- team", "entry 1 has the fields none"),
        ("- {name: team}", "entry 1 has the fields 'name'"),
        (
            "- {name: team, base: /a, token: secret}",
            r"'token'. Each entry is \{name: ..., base: ...\}, nothing else",
        ),
        ("- {name: team, base: 3}", "entry 1: name and base are texts"),
        ("- {name: team, base: ''}", "entry 1: Registry 'team' has no base"),
        ("- {name: team, base: ./zoo}", "entry 1: The folder './zoo' is no absolute path"),
        ("- {name: team, base: 'https://me:secret@a.example'}", "entry 1: .* a user or password"),
        ("- {name: Team, base: /a}", "entry 1: 'Team' is no name"),
        ("- {name: zoo, base: /a}", "entry 1: There is a registry 'zoo' already"),
        (
            "- {name: a, base: /a}\n- {name: a, base: /b}",
            "entry 2: There is a registry 'a' already",
        ),
        ("- &a {name: a, base: /a}", "an anchor"),
        ("- {name: team", "no YAML"),
    ],
)
def test_a_wrong_list_is_refused_with_its_place(text: str, message: str) -> None:
    """The message names the file, and repeats nothing that may be secret."""
    write(text)
    with pytest.raises(RegistryError, match=rf"registries\.yaml.*{message}") as caught:
        read_configured()
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_text_is_refused() -> None:
    """And one that cannot be read."""
    config_file().write_bytes(b"\xff\xfe")
    with pytest.raises(RegistryError, match=r"registries\.yaml cannot be read"):
        read_configured()
    config_file().unlink()
    config_file().mkdir()
    with pytest.raises(RegistryError, match=r"registries\.yaml cannot be read"):
        read_configured()


def test_adding_checks_the_name() -> None:
    """It goes into refs."""
    assert with_added([TEAM], *OURS) == [TEAM, OURS]
    for name, message in (("zoo", "already"), ("team", "already"), ("../x", "is no name")):
        with pytest.raises(InvalidValue, match=message):
            with_added([TEAM], name, "/a")


def test_removing_takes_what_is_there() -> None:
    """Anything else is a near miss."""
    assert without([TEAM, OURS], "team") == [OURS]
    with pytest.raises(UnknownName, match=r"No registry 'taem' was added\. Did you mean 'team'"):
        without([TEAM, OURS], "taem")


def test_the_file_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """ZOO_CONFIG first, then the user's configuration, then the home."""
    monkeypatch.setenv("ZOO_CONFIG", "/a/b.yaml")
    assert config_file() == Path("/a/b.yaml")
    monkeypatch.delenv("ZOO_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/x")
    assert config_file() == Path("/x/zoo/registries.yaml")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/h")
    assert config_file() == Path("/h/.config/zoo/registries.yaml")


def test_a_folder_that_cannot_be_made_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says which."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ZOO_CONFIG", str(tmp_path / "file" / "zoo" / "registries.yaml"))
    with pytest.raises(InvalidValue, match="cannot be made"):
        write_configured([TEAM])


def test_what_we_wrote_is_read_without_a_yaml_parser() -> None:
    """Its import alone would cost every command 20 ms and more."""
    write_configured([TEAM, OURS])
    program = (
        "import sys; from zoo.registry.configured import read_configured; "
        "assert len(read_configured()) == 2; assert 'yaml' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

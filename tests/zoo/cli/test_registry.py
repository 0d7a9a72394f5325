"""`zoo registry`."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from zoo.registry.configured import read_configured, with_added, write_configured
from zoo.store import patience


@pytest.fixture(autouse=True)
def impatience(monkeypatch):
    """What fails is not tried again after a while."""
    monkeypatch.setattr(patience, "PATIENCE", patience.Patience(attempts=1, pause=0))


@pytest.fixture
def mirror(make_registry, serve):
    """A registry elsewhere."""
    root = make_registry(team_net={"1.0.0": {"blob": b"one"}}).root
    mirror = serve(root)
    mirror.root = root
    return mirror


def test_a_registry_is_added_used_and_removed(command, mirror):
    """As in the README."""
    done = command("registry", "add", "team", mirror.url)
    assert done == (0, f"team is tests at {mirror.url}: 1 variant, serial 1\n", "")
    assert "team_net@1.0.0" in command("list").out
    assert f"registry    tests at {mirror.url}" in command("show", "team/team_net").out
    done = command("registry", "remove", "team")
    assert done == (0, "team is removed. Weights that came from it stay in the cache.\n", "")
    assert "team_net@1.0.0" not in command("list").out


def test_the_list_says_all_that_is_known_without_the_network(
    command, mirror, make_registry, request
):
    """Also of registries that are broken or were never fetched."""
    command("registry", "add", "team", mirror.url)
    broken = make_registry("broken", id="broken")
    command("registry", "add", "bad", broken.base)
    (broken.root / "registry.yaml").write_text("no: registry")
    write_configured(with_added(read_configured(), "later", "https://models.example.org/zoo"))
    request.getfixturevalue("no_network")

    done = command("registry", "list")

    lines = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert lines[0].split() == ["NAME", "ID", "SERIAL", "FETCHED", "BASE", "PROBLEM"]
    assert [line.split()[0] for line in lines[1:]] == ["zoo", "team", "bad", "later"]
    assert "less than a minute ago" in lines[2]
    assert "registry.yaml:1: no: unknown field" in lines[3]
    assert lines[4].endswith("never fetched")
    rows = json.loads(command("registry", "list", "--json").out)
    assert [row["id"] for row in rows] == ["attn-zoo", "tests", None, None]
    assert rows[3]["problem"] == "never fetched"
    assert 0 <= rows[1]["age"] < 60
    assert rows[0]["age"] is None


def test_a_refresh_is_of_one_or_all(command, mirror):
    """And says what there is now; a rollback needs its flag."""
    command("registry", "add", "team", mirror.url)
    assert command("registry", "refresh", "team").out.startswith("team is tests at ")
    assert len(command("registry", "refresh").out.splitlines()) == 2
    file = mirror.root / "registry.yaml"
    file.write_text(file.read_text().replace('"serial": 1', '"serial": 0'))
    done = command("registry", "refresh", "team")
    assert (done.code, done.out) == (2, "")
    assert "serial 0, and 1 was seen before" in done.err
    done = command("registry", "refresh", "team", "--accept-rollback")
    assert done.out.endswith("1 variant, serial 0\n")


def test_an_index_that_could_not_be_fetched_is_a_warning(command, mirror, cache):
    """The command goes on with the old one."""
    command("registry", "add", "team", mirror.url)
    for file in cache.rglob("*.yaml"):
        os.utime(file, (1, 1))
    mirror.stop()
    done = command("list")
    assert done.code == 0
    assert "team_net@1.0.0" in done.out
    assert done.err.startswith("zoo: warning: No newer index of http://127.0.0.1")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: ACTION"),
        (["ad"], "invalid choice: 'ad'"),
        (
            ["add", "team"],
            "the following arguments are required: BASE. See `zoo registry add --help`",
        ),
        (["add", "Team", "/srv/zoo"], "'Team' is no name"),
        (["add", "team", "/nowhere"], "/nowhere holds no registry.yaml"),
        (["remove", "team"], "No registry 'team' was added"),
        (["refresh", "team"], "There is no registry 'team'. Known: 'zoo'."),
    ],
)
def test_wrong_words_are_one_error(command, words, message):
    """With exit code 2 and what to do."""
    done = command("registry", *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1


def test_listing_several_imports_nothing_heavy(command, mirror, make_registry):
    """In a fresh process, once their indices are compiled and fresh; and no socket is made."""
    command("registry", "add", "team", mirror.url)
    command("registry", "add", "ours", make_registry("ours", id="ours", our_net={"1.0.0": {}}).base)
    command("list")
    program = (
        "import socket, sys\n"
        "from zoo.cli import main\n"
        "socket.socket = None\n"
        "main(['list'])\n"
        "print('MODULES', *sys.modules)"
    )
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, check=True, capture_output=True, text=True)
    listed, _, modules = done.stdout.partition("MODULES")
    assert "team_net@1.0.0" in listed
    assert "our_net@1.0.0" in listed
    assert {"torch", "urllib3", "msgspec", "yaml", "tempfile", "logging"}.isdisjoint(
        modules.split()
    )


def test_what_a_registry_says_cannot_move_the_cursor(command, make_registry):
    """Summaries and reasons come from strangers."""
    evil = "\x1b[2J\nzoo: all is well"
    registry = make_registry(
        a_net={"1.0.0": {"license": evil, "status": {"yanked": evil}}, "1.1.0": {"license": evil}}
    )
    command("registry", "add", "team", registry.base)
    for words in (["list"], ["show", "a_net"], ["show", "a_net@1.0.0"], ["registry", "list"]):
        done = command(*words)
        assert done.code == 0
        assert "\x1b" not in done.out + done.err
        assert "\nzoo: all is well" not in done.out + done.err

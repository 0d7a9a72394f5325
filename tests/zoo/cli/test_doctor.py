"""`zoo doctor`."""

from __future__ import annotations

import json
from importlib import metadata

import pytest

from zoo.cli import doctor
from zoo.registry.configured import Configured, config_file, write_configured


@pytest.fixture
def registry(make_registry):
    """A registry with one blob."""
    return make_registry(small={"1.0.0": {"blob": b"weights"}})


def findings(check):
    """What a check finds, by state."""
    found = {}
    for finding in check():
        found.setdefault(finding.state, []).append(finding)
    return found


def test_all_is_well(command, registry):
    """Where nothing is wrong every line says ok and the exit code is 0."""
    done = command("doctor", registry=registry)

    assert (done.code, done.err) == (0, "")
    assert "ok        Python 3." in done.out
    assert "ok        torch computes with" in done.out
    assert "ok        plug-in zoo_attention of attn-zoo 0.1.0:" in done.out
    assert "ok        the built-in registry tests at" in done.out
    assert (
        "ok        small@1.0.0: 7 bytes of weights have the digest that was published" in done.out
    )
    assert "ok        the cache" in done.out
    assert "0 problems, 0 warnings." in done.out


@pytest.mark.parametrize(("damage", "told"), [(b"Weights", "is damaged"), (None, "are not in")])
def test_a_damaged_blob_is_a_problem(command, registry, damage, told):
    """A blob whose bytes are not those that were published is found, and the exit code is 1."""
    blob = next(registry.root.glob("blobs/sha256/*/*"))
    if damage is None:
        blob.unlink()
    else:
        blob.write_bytes(damage)

    done = command("doctor", "--json", registry=registry)
    problems = [finding for finding in json.loads(done.out) if finding["state"] == "problem"]

    assert done.code == 1
    assert [problem["what"].startswith("small@1.0.0: ") for problem in problems] == [True]
    assert told in problems[0]["what"]
    assert problems[0]["advice"]


def test_a_broken_registry_is_a_problem(command, registry):
    """A registry that cannot be read is a line, not the end of the examination."""
    (registry.root / "registry.yaml").write_text("schema: 1\nschema: 1\n")

    done = command("doctor", registry=registry)

    assert (done.code, done.err) == (1, "")
    assert "problem   the built-in registry cannot be read:" in done.out
    assert "1 problem, 0 warnings." in done.out


def test_the_users_registries_are_looked_at_without_the_network(make_registry, no_network):
    """One that works, one that was never fetched, one that is broken; then a list that is none."""
    good, bad = (make_registry(name, id=name) for name in ("good", "bad"))
    bases = {"good": good.base, "far": "https://models.example.org/zoo", "bad": bad.base}
    write_configured([Configured(*one) for one in bases.items()])
    (bad.root / "registry.yaml").unlink()

    found = findings(doctor.check_registries)

    assert f"the registry good good at {good.base}: 0 variants, serial 1" in [
        one.what for one in found[doctor.OK]
    ]
    assert [one.what for one in found[doctor.WARNING]] == [
        "the registry far at https://models.example.org/zoo was never fetched"
    ]
    (problem,) = found[doctor.PROBLEM]
    assert "the registry bad cannot be read: " in problem.what
    assert problem.advice == "Mend it, or drop it: zoo registry remove bad"
    config_file().write_text("no list")
    (problem,) = findings(doctor.check_registries)[doctor.PROBLEM]
    assert "is no list" in problem.what


def test_of_a_registry_elsewhere_only_the_cached_index_is_vouched_for(team):
    """Its server may be dead: the line says what was read, and how old that is."""
    team.stop()

    found = findings(doctor.check_registries)

    assert (
        f"the registry team tests at {team.url}, not asked now; its cached index, fetched less than a minute ago: "
        "2 variants, serial 1" in [one.what for one in found[doctor.OK]]
    )


def test_one_is_not_called_several(command, make_registry, process, make_plugin):
    """One variant, one thread, one component that loads."""
    registry = make_registry(small={"1.0.0": {}})
    make_plugin(
        "zoo_single",
        "from zoo import Component, hookimpl\n"
        "@hookimpl\n"
        "def zoo_heads():\n"
        "    return [Component(name='single', target='torch.nn:Identity')]\n",
    )

    assert ": 1 variant, serial 1\n" in command("doctor", registry=registry).out
    out = process("doctor", OMP_NUM_THREADS="1").out
    assert "torch computes with 1 thread and " in out
    assert "plug-in zoo_single of zoo-single 1.0: 1 component loads\n" in out


def test_a_version_of_a_newer_schema_is_a_warning(command, make_registry):
    """What was left out because it is too new is told, and is no problem."""
    done = command("doctor", registry=make_registry(small={"1.0.0": {"schema": 9}}))

    assert done.code == 0
    assert "has schema 9; upgrade attn-zoo to use it" in done.out
    assert "0 problems, 1 warning." in done.out


def test_broken_plugins_are_problems(process, make_plugin):
    """A plug-in that raises, a class that cannot be imported, and a name clash: each is found, with advice."""
    make_plugin("zoo_raises", "raise RuntimeError('no luck')")
    make_plugin(
        "zoo_hollow",
        "from zoo import Component, hookimpl\n"
        "@hookimpl\n"
        "def zoo_heads():\n"
        "    return [Component(name='gem', target='zoo_hollow.nowhere:Hollow')]\n",
    )

    done = process("doctor")

    assert (done.code, done.err) == (1, "")
    assert (
        "problem   plug-in zoo_raises of zoo-raises 1.0 is broken: RuntimeError: no luck"
        in done.out
    )
    assert "-> Upgrade zoo-raises, uninstall it, or set ZOO_DISABLE_PLUGINS=zoo_raises." in done.out
    assert "problem   head/gem of zoo-hollow 1.0 cannot be loaded" in done.out
    assert "problem   head/gem is offered by attn-zoo 0.1.0 and by zoo-hollow 1.0" in done.out
    assert "3 problems" in done.out


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch):
    """Without a cache everything works, slower: a warning that says what to set."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file" / "cache"))

    (warning,) = findings(doctor.check_cache)["warning"]

    assert "cannot be written to" in warning.what
    assert "ZOO_CACHE" in warning.advice


def test_requirements_are_compared_with_what_is_installed(monkeypatch):
    """A missing or too old distribution is a problem; a missing optional one is a warning."""
    versions = {"torch": "2.0", "numpy": "2.0"}
    rules = [
        "torch>=2.6",
        "numpy>=1.26",
        "pillow>=10",
        'lightning>=2.4; extra == "train"',
        'ruff; extra == "test"',
    ]

    def version(name):
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(metadata, "requires", lambda name: rules)
    monkeypatch.setattr(metadata, "version", version)

    found = findings(doctor.check_requirements)

    assert [one.what for one in found["ok"]] == ["numpy 2.0"]
    assert [(one.what, one.advice) for one in found["problem"]] == [
        ("torch 2.0 is not >=2.6", "pip install 'torch>=2.6'"),
        ("pillow is not installed", "pip install 'pillow>=10'"),
    ]
    assert [(one.what, one.advice) for one in found["warning"]] == [
        ("lightning is not installed; only `zoo train` needs it", "pip install 'attn-zoo[train]'")
    ]


def test_a_torch_that_fails_is_a_problem(monkeypatch):
    """A torch that is there but does not compute is found."""
    import torch

    def fail(_count):
        raise RuntimeError("illegal instruction")

    monkeypatch.setattr(torch, "ones", fail)

    (problem,) = findings(doctor.check_torch)["problem"]

    assert problem.what == "torch does not work: RuntimeError: illegal instruction"

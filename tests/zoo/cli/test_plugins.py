"""`zoo plugins`."""

from __future__ import annotations

import json

SE = (
    "from zoo import Component, hookimpl\n"
    "@hookimpl\n"
    "def zoo_attentions():\n"
    "    return [Component(name='se', target='{module}.gate:Gate')]\n"
)


def test_each_plugin_is_shown_with_what_it_brings(command):
    """Every plug-in is there with its distribution, version, state and components."""
    done = command("plugins")
    rows = {line.split()[0]: line.split() for line in done.out.splitlines()[1:]}

    assert (done.code, done.err) == (0, "")
    assert {"zoo_attention", "zoo_cnn", "zoo_pooling", "zoo_timm"} <= rows.keys()
    assert rows["zoo_timm"][1:] == ["attn-zoo", "0.1.0", "loaded", "1", "backbone"]


def test_a_broken_plugin_is_shown_with_its_problem(process, make_plugin):
    """A plug-in that raises at import, or exits, or misspells a hook is named; the others work."""
    make_plugin("zoo_raises", "raise RuntimeError('no luck')")
    make_plugin("zoo_exits", "raise SystemExit(3)", version="2.1")
    make_plugin(
        "zoo_misspelt", "from zoo import hookimpl\n@hookimpl\ndef zoo_atentions():\n    return []\n"
    )

    done = process("plugins", COLUMNS="200")

    assert (done.code, done.err) == (0, "")
    lines = {line.split()[0]: line for line in done.out.splitlines()}
    assert lines["zoo_raises"].split()[1:4] == ["zoo-raises", "1.0", "broken"]
    assert "RuntimeError: no luck" in lines["zoo_raises"]
    assert lines["zoo_exits"].split()[1:4] == ["zoo-exits", "2.1", "broken"]
    assert "SystemExit: 3" in lines["zoo_exits"]
    assert "zoo_atentions" in lines["zoo_misspelt"]
    assert "loaded" in lines["zoo_cnn"]


def test_two_plugins_with_one_name_are_told(process, make_plugin):
    """A name that two distributions offer is shown as a clash; using it is an error that names both."""
    make_plugin("zoo_rival", SE.format(module="zoo_rival"))

    done = process("plugins")
    shown = process("show", "attention/se")

    assert done.code == 0
    assert (
        "Clash: attention/se is offered by attn-zoo 0.1.0 and by zoo-rival 1.0, so the name cannot be used."
        in done.out
    )
    assert shown.code == 2
    assert "attention/se is offered by attn-zoo 0.1.0 and by zoo-rival 1.0" in shown.err
    assert json.loads(process("plugins", "--json").out)["clashes"] == {
        "attention/se": ["attn-zoo 0.1.0", "zoo-rival 1.0"]
    }


def test_a_plugin_that_is_switched_off_is_shown(process, make_plugin):
    """ZOO_DISABLE_PLUGINS leaves a plug-in out, and its clash goes with it."""
    make_plugin("zoo_rival", SE.format(module="zoo_rival"))

    done = process("plugins", "--json", ZOO_DISABLE_PLUGINS="zoo_rival")
    data = json.loads(done.out)

    assert data["clashes"] == {}
    assert [
        (p["distribution"], p["version"]) for p in data["plugins"] if p["state"] == "disabled"
    ] == [("zoo-rival", "1.0")]

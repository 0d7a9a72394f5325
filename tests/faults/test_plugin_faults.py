"""Plug-ins that are broken, greedy or careless: named with their distribution, and in nobody else's way.

Each is a distribution on the path, found as those that are installed are.
"""

from __future__ import annotations

import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo import PluginError, UnknownName
from zoo.plugins import PluginWarning
from zoo.store.places import open_place

Install = Callable[..., None]

OFFER = """
from zoo import Component, hookimpl

@hookimpl
def zoo_attentions():
    return [Component(name="{name}", family="channel", target="{target}")]
"""
GATE = """
from torch import nn

class Gate(nn.Module):
    def __init__(self, channels, *, ndim=2):
        super().__init__()

    def forward(self, x, mask=None):
        return {result}
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_catalog: None) -> Install:
    """A function that installs a plug-in: a module of hooks, and further modules by name."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def run(name: str, hooks: str, **modules: str) -> None:
        for module, code in {name: hooks, **modules}.items():
            (site / f"{module}.py").write_text(textwrap.dedent(code))
            monkeypatch.delitem(sys.modules, module, raising=False)
        info = site / f"dist_{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dist-{name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[zoo]\n{name} = {name}\n")

    return run


def small(attention: str = "se") -> zoo.Model:
    """A model with some attention."""
    backbone: dict[str, Any] = {"name": "attn_cnn", "widths": [8], "depths": 1}
    return zoo.compose(backbone, {"name": attention, "slot": "last"})


@pytest.mark.filterwarnings("error")
def test_a_plug_in_without_a_fault(install: Install) -> None:
    """Otherwise the tests below would pass for another reason."""
    offer = OFFER.format(name="gauss", target="gauss_gate:Gate")
    install("gauss", offer, gauss_gate=GATE.format(result="2 * x"))
    assert small("gauss").plan.attentions[0].origin == "dist-gauss 1.2"


def left_out(name: str, problem: str) -> None:
    """See that a plug-in is reported once, and that everything else works."""
    with pytest.warns(
        PluginWarning, match=f"{name!r} of dist-{name} 1.2 is left out: {problem}"
    ) as seen:
        small()
    assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert zoo.list_variants()


def test_raises_at_import(install: Install) -> None:
    """Of whatever kind the error is."""
    install("broken_one", "1 / 0")
    left_out("broken_one", "ZeroDivisionError: division by zero")


def test_system_exit_at_import(install: Install) -> None:
    """It does not end the program."""
    install("quitter", "raise SystemExit(3)")
    left_out("quitter", "SystemExit: 3")


@pytest.mark.parametrize("fault", ["raise SystemExit(3)", "1 / 0", "import no_such_module"])
def test_a_target_that_raises_at_import(install: Install, fault: str) -> None:
    """Whoever uses it is told; nobody else notices."""
    transport = """
from zoo import Transport

@hookimpl
def zoo_transports():
    return [Transport(schemes=("late",), target="late_place:Place")]
"""
    offer = OFFER.format(name="late", target="late_gate:Gate") + transport
    install("late", offer, late_gate=fault, late_place=fault)
    small()
    with pytest.raises(PluginError, match=r"attention/late of dist-late 1\.2 cannot be loaded"):
        small("late")
    with pytest.raises(PluginError, match=r"late:// of dist-late cannot be loaded"):
        open_place("late://somewhere")


def test_two_with_one_name(install: Install) -> None:
    """Neither wins, and both are named when the name is used."""
    for number in ("one", "two"):
        install(number, OFFER.format(name="gauss", target=f"{number}:Gate"))
    small()
    with pytest.raises(
        PluginError, match=r"attention/gauss is offered by dist-one 1\.2 and by dist-two 1\.2"
    ):
        small("gauss")


def test_one_that_takes_a_built_in_name(install: Install) -> None:
    """It does not get it; switched off, the name is ours again."""
    install("thief", OFFER.format(name="se", target="thief:Gate"))
    with pytest.raises(PluginError, match=r"attention/se is offered by .*dist-thief 1\.2"):
        small()
    small("eca")
    zoo.configure(disable=["thief"])
    small()


def test_a_misspelt_hook(install: Install) -> None:
    """It would be passed over in silence otherwise."""
    install("slip", "from zoo import hookimpl\n@hookimpl\ndef zoo_atentions(): return []")
    left_out("slip", "PluginValidationError: unknown hook 'zoo_atentions'")


def test_a_target_that_does_not_exist(install: Install) -> None:
    """Neither the module nor the class."""
    install("nowhere", OFFER.format(name="nowhere", target="no_such_module:Gate"))
    install("nothing", OFFER.format(name="nothing", target="nothing:Gate"))
    small()
    with pytest.raises(PluginError, match=r"'no_such_module:Gate': ModuleNotFoundError"):
        small("nowhere")
    with pytest.raises(PluginError, match=r"'nothing:Gate': AttributeError"):
        small("nothing")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (GATE.format(result="x.mean((2, 3), keepdim=True)"), r"gives \(1, 8, 1, 1\) for a map"),
        ("class Gate: pass", "is no nn.Module: Gate"),
        ("Gate = 3", "is no class but int"),
    ],
)
def test_a_component_that_breaks_its_contract(install: Install, code: str, message: str) -> None:
    """It is named with its distribution when a model with it is built."""
    install(
        "careless", OFFER.format(name="careless", target="careless_gate:Gate"), careless_gate=code
    )
    small()
    with pytest.raises(PluginError, match=rf"attention/careless of dist-careless 1\.2.*{message}"):
        small("careless")


@pytest.mark.parametrize("index", [None, "id: [", "schema: 1\nid: theirs\n"])
def test_a_registry_folder_that_is_broken(
    install: Install, tmp_path: Path, index: str | None
) -> None:
    """It is reported and left out; ours is there."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    if index is not None:
        (folder / "registry.yaml").write_text(index)
    install(
        "keeper",
        f"from zoo import hookimpl\n@hookimpl\ndef zoo_registries(): return [{str(folder)!r}]",
    )
    with pytest.warns(PluginWarning, match="A plug-in's registry is left out: .*theirs"):
        assert [registry.name for registry in zoo.registries()] == ["zoo"]
    with (
        pytest.warns(PluginWarning, match="A plug-in's registry is left out"),
        pytest.raises(UnknownName, match="No variant is called 'their_net'"),
    ):
        zoo.describe("their_net")

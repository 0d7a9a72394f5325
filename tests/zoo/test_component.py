"""Components: what they may say of themselves, and loading their classes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from zoo import Component, InvalidValue, PluginError


@pytest.mark.parametrize("name", ["se", "conv_2d", "timm/*", "a1", "a" * 64])
def test_names_in_the_right_form_are_taken(name: str) -> None:
    """Lower case with underscores, and name spaces."""
    assert Component(name=name, target="a.b:C").name == name


@pytest.mark.parametrize(
    "name", ["", "Se", "s-e", "_se", "se_", "1se", "se\n", "a/b", "a" * 65, None, "a/*/*"]
)
def test_names_in_another_form_are_refused(name: Any) -> None:
    """The form is shown."""
    with pytest.raises(InvalidValue, match="is not of the form 'lower_case_2'"):
        Component(name=name, target="a.b:C")


@pytest.mark.parametrize(
    "target", ["a.b", "a.b:", ":C", "a.b:C.D", "a.b:C\n", "a b:C", "", "a:b:c"]
)
def test_targets_in_another_form_are_refused(target: str) -> None:
    """A target names one class of one module."""
    with pytest.raises(InvalidValue, match=r"is not of the form 'package.module:Class'"):
        Component(name="x", target=target)


def test_families_are_five() -> None:
    """Another one is refused with those there are."""
    with pytest.raises(
        InvalidValue, match="family 'chanel' is none of channel, spatial, mixed, self, branch"
    ):
        Component(name="x", target="a:B", family="chanel")


@pytest.mark.parametrize("ndims", [(), (3,), (1, 2, 3), 2, "12"])
def test_ndims_are_one_and_two(ndims: Any) -> None:
    """Nothing else, and at least one."""
    with pytest.raises(InvalidValue, match=r"ndims is .*; give \(1,\), \(2,\) or \(1, 2\)"):
        Component(name="x", target="a:B", ndims=ndims)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (None, "ModuleNotFoundError: No module named"),
        ("", "AttributeError: .* has no attribute 'Gate'"),
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("raise SystemExit(2)", "SystemExit: 2"),
        ("Gate = 3", "is no class but int"),
        ("def Gate(channels): pass", "is no class but function"),
    ],
)
def test_a_target_that_cannot_be_had_is_an_error_that_names_its_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str | None, problem: str
) -> None:
    """Whatever its module does."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "some_target", raising=False)
    if code is not None:
        (tmp_path / "some_target.py").write_text(code)
    component = Component(
        name="x", target="some_target:Gate", kind="attention", distribution="dist", version="1.2"
    )
    with pytest.raises(PluginError, match=rf"attention/x of dist 1\.2.*{problem}"):
        component.load()


def test_a_class_given_itself_is_loaded_as_it_is() -> None:
    """Which is what the decorators do."""
    assert Component(name="x", target=nn.Identity).load() is nn.Identity


def test_a_backbone_may_ask_for_an_input() -> None:
    """Which depends on its options, and in a name space on what follows the slash."""

    class Asking(nn.Module):
        @classmethod
        def default_input(cls, architecture: str = "", **options: int) -> dict[str, object]:
            return {"kind": architecture, **options}

    space = Component(name="own/*", target=Asking, kind="backbone")
    assert space.default_input("own/image", {"channels": 3}) == {"kind": "image", "channels": 3}
    assert Component(name="own", target=Asking).default_input("own", {}) == {"kind": ""}
    assert Component(name="x", target=nn.Identity).default_input("x", {"width": 3}) == {}

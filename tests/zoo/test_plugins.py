"""Discovery: a broken plug-in is named and left out, a clash is an error when its name is used."""

from __future__ import annotations

import re
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor, nn

import zoo
from zoo import Catalog, Component, InvalidValue, PluginError, UnknownName, plugins
from zoo.distributions import EntryPoint
from zoo.plugins import PluginWarning

MakePlugin = Callable[..., EntryPoint]

OFFER = """
from zoo import Component, hookimpl

@hookimpl
def zoo_attentions():
    return [Component(name="{name}", family="channel", target="{module}:Gate")]
"""


@pytest.fixture
def make_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakePlugin:
    """A function that writes the hook module of a plug-in and returns its entry point."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(module: str, code: str = "", *, distribution: str = "", name: str = "") -> EntryPoint:
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(code))
        monkeypatch.delitem(sys.modules, module, raising=False)
        return EntryPoint(name or module, module, distribution or f"dist-{module}", "1.2")

    return make


def offering(module: str, name: str) -> str:
    """The code of a plug-in that offers one attention."""
    return OFFER.format(name=name, module=module)


def test_what_a_plugin_offers_carries_its_kind_and_distribution(make_plugin: MakePlugin) -> None:
    """Both are set at discovery, not by the plug-in."""
    catalog = Catalog([make_plugin("gaussian", offering("gaussian", "gauss"))])
    component = catalog.component("attention", "gauss")
    assert (component.title, component.origin) == ("attention/gauss", "dist-gaussian 1.2")
    assert catalog.plugins[0].state == "loaded"


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import sys; sys.exit('bye')", "SystemExit: bye"),
        ("def broken(:", "SyntaxError: "),
        (
            "from zoo import hookimpl\n@hookimpl\ndef zoo_atentions(): return []",
            r"PluginValidationError: unknown hook 'zoo_atentions'",
        ),
        (
            "from zoo import hookimpl\n@hookimpl\ndef zoo_heads(): raise ValueError('later')",
            "ValueError: later",
        ),
        (
            "from zoo import hookimpl\n@hookimpl\ndef zoo_heads(): return 'avg'",
            "PluginError: zoo_heads returned 'avg'; it returns a list",
        ),
        (
            "from zoo import hookimpl\n@hookimpl\ndef zoo_heads(): return ['avg']",
            "PluginError: zoo_heads returned 'avg', which is no zoo.Component",
        ),
        (
            "from zoo import hookimpl\n@hookimpl\ndef zoo_registries(): return '/a/b'",
            "PluginError: zoo_registries returned '/a/b'; it returns a list",
        ),
        (
            "from zoo import hookimpl\n@hookimpl\ndef zoo_registries(): return [3]",
            "TypeError: ",
        ),
        (
            "from zoo import Component\nComponent(name='Bad Name', target='a:B')",
            "InvalidValue: Component name 'Bad Name' is not of the form",
        ),
    ],
)
def test_a_broken_plugin_is_named_and_left_out_and_the_others_work(
    make_plugin: MakePlugin, code: str, problem: str
) -> None:
    """Whatever it does at import or in its hooks."""
    entries = [
        make_plugin("broken_one", code),
        make_plugin("good_one", offering("good_one", "good")),
    ]
    with pytest.warns(
        PluginWarning, match="'broken_one' of dist-broken_one 1.2 is left out: " + problem[:12]
    ):
        catalog = Catalog(entries)
    assert [plugin.state for plugin in catalog.plugins] == ["broken", "loaded"]
    assert problem in catalog.plugins[0].problem
    assert catalog.component("attention", "good").name == "good"
    with pytest.raises(UnknownName, match=r"Left out: broken_one .broken.; see `zoo plugins`"):
        catalog.component("attention", "other")


def test_two_distributions_with_one_name_are_both_named_when_it_is_used(
    make_plugin: MakePlugin,
) -> None:
    """Never "last wins"; every other name works."""
    entries = [
        make_plugin("first", offering("first", "gauss")),
        make_plugin("second", offering("second", "gauss")),
        make_plugin("third", offering("third", "other")),
    ]
    catalog = Catalog(entries)
    with pytest.raises(
        PluginError, match=r"offered by dist-first 1\.2 and by dist-second 1\.2\. Uninstall"
    ):
        catalog.component("attention", "gauss")
    assert catalog.component("attention", "other").distribution == "dist-third"
    assert [c.distribution for c in catalog.components("attention")][:2] == [
        "dist-first",
        "dist-second",
    ]


def test_two_distributions_with_one_entry_point_name_are_both_seen(make_plugin: MakePlugin) -> None:
    """The loader of pluggy would drop the second silently."""
    entries = [
        make_plugin("one", offering("one", "gauss"), name="same"),
        make_plugin("two", offering("two", "gauss"), name="same"),
    ]
    with pytest.raises(PluginError, match=r"dist-one 1.2 and by dist-two 1.2"):
        Catalog(entries).component("attention", "gauss")


def test_a_plugin_that_takes_a_built_in_name_does_not_replace_it(make_plugin: MakePlugin) -> None:
    """It is named beside ours, and can be switched off."""
    thief = make_plugin("thief", offering("thief", "se"))
    ours = EntryPoint("zoo_attention", "zoo_attention", "attn-zoo", "0.1.0")
    with pytest.raises(
        PluginError, match=r"attention/se is offered by attn-zoo 0\.1\.0 and by dist-thief"
    ):
        Catalog([ours, thief]).component("attention", "se")
    catalog = Catalog([ours, thief], disable=["thief"])
    assert catalog.component("attention", "se").distribution == "attn-zoo"


@pytest.mark.parametrize("name", ["gaussian", "dist-gaussian"])
def test_a_disabled_plugin_is_not_even_imported(make_plugin: MakePlugin, name: str) -> None:
    """By the name of its entry point or of its distribution."""
    catalog = Catalog([make_plugin("gaussian", "raise RuntimeError")], disable=[name])
    assert catalog.plugins[0].state == "disabled"
    with pytest.raises(UnknownName, match=r"Left out: gaussian .disabled."):
        catalog.component("attention", "gauss")


def test_an_unknown_name_is_answered_with_the_near_misses() -> None:
    """Of that kind."""
    with pytest.raises(UnknownName, match=r"No plug-in offers attention/cbm\. Did you mean 'cbam'"):
        plugins.catalog().component("attention", "cbm")
    with pytest.raises(
        UnknownName, match=r"'atention' is no kind of component\. Did you mean 'attention'"
    ):
        zoo.list_components("atention")


@pytest.mark.parametrize(
    ("kind", "name", "hint"),
    [
        ("head", "se", "se is an attention, which says its slot: se@branch."),
        ("attention", "avg", "avg is a head, which has no slot: 'attn_cnn + avg'."),
        ("head", "attn_cnn", "attn_cnn is a backbone, which stands first: 'attn_cnn + avg'."),
        ("head", "native", "native is the head that a backbone brings: 'timm/resnet50 + native'."),
    ],
)
def test_a_name_of_another_kind_is_answered_with_its_place(kind: str, name: str, hint: str) -> None:
    """And not with what happens to be spelled like it."""
    with pytest.raises(UnknownName, match=re.escape(f"No plug-in offers {kind}/{name}. {hint}")):
        plugins.catalog().component(kind, name)


def test_a_name_space_answers_for_all_names_in_it(make_plugin: MakePlugin) -> None:
    """`lib/*` stands for `lib/anything`."""
    code = (
        "from zoo import Component, hookimpl\n@hookimpl\ndef zoo_backbones():\n"
        "    return [Component(name='lib/*', target='a:B')]"
    )
    catalog = Catalog([make_plugin("lib", code)])
    assert catalog.component("backbone", "lib/net50").name == "lib/*"
    with pytest.raises(UnknownName, match="No plug-in offers backbone/other/net"):
        catalog.component("backbone", "other/net")


def test_a_plugin_brings_its_registries(make_plugin: MakePlugin) -> None:
    """As folders."""
    code = "from zoo import hookimpl\n@hookimpl\ndef zoo_registries(): return ['/some/folder']"
    assert Catalog([make_plugin("bringer", code)]).registries == ["/some/folder"]


class Gate(nn.Module):
    """Scale by a half.

    More words.
    """

    def __init__(self, channels: int, *, ndim: int = 2, factor: float = 0.5) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scale."""
        return x * self.factor


def test_a_decorated_class_is_usable_by_name_at_once(own_catalog: None) -> None:
    """As attention, with the first line of its docstring as summary."""
    assert zoo.attention("halve", family="channel")(Gate) is Gate
    (component,) = [c for c in zoo.list_components("attention") if c.name == "halve"]
    assert (component.summary, component.load()) == ("Scale by a half.", Gate)
    assert component.origin == "this process (zoo.register)"
    model = zoo.compose("attn_cnn", {"name": "halve", "slot": "last", "factor": 0.25})
    assert isinstance(model.last, Gate)
    assert model.last.factor == 0.25


def test_registering_again_replaces_what_was_registered(own_catalog: None) -> None:
    """As a notebook cell that is run twice does."""
    zoo.head("mine")(Gate)
    again = type("Again", (Gate,), {})
    zoo.head("mine")(again)
    assert plugins.catalog().component("head", "mine").target is again


def test_a_name_that_a_plugin_offers_cannot_be_registered(own_catalog: None) -> None:
    """In its kind; another kind may use the word."""
    with pytest.raises(
        PluginError, match=r"attention/se is offered by attn-zoo .* already. Choose"
    ):
        zoo.attention("se", family="channel")(Gate)
    zoo.head("se")(Gate)


def test_a_component_needs_a_kind_to_be_registered(own_catalog: None) -> None:
    """A hook would say it; here nobody does."""
    with pytest.raises(InvalidValue, match=r"'x' has kind ''; say one with Component.kind"):
        zoo.register(Component(name="x", target=Gate))


def test_configure_leaves_plugins_out_and_keeps_what_was_registered(own_catalog: None) -> None:
    """And brings them back."""
    zoo.attention("mine", family="channel")(Gate)
    zoo.configure(disable=["zoo_attention"])
    with pytest.raises(UnknownName, match=r"attention/se.*zoo_attention .disabled."):
        zoo.compose("attn_cnn", {"name": "se", "slot": "last"})
    assert plugins.catalog().component("attention", "mine").load() is Gate
    zoo.configure()
    assert plugins.catalog().component("attention", "se").name == "se"
    assert plugins.catalog().component("attention", "mine").load() is Gate


def test_the_environment_leaves_plugins_out(
    own_catalog: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several, with or without spaces."""
    monkeypatch.setenv("ZOO_DISABLE_PLUGINS", "zoo_timm, zoo_pooling,")
    states = {plugin.entry.name: plugin.state for plugin in plugins.catalog().plugins}
    assert states["zoo_timm"] == states["zoo_pooling"] == "disabled"
    assert states["zoo_cnn"] == "loaded"


def test_our_own_plugins_load_without_a_warning() -> None:
    """All of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        catalog = Catalog()
    assert {p.entry.name for p in catalog.plugins} >= {
        "zoo_attention",
        "zoo_cnn",
        "zoo_pooling",
        "zoo_timm",
    }


def test_configure_changes_nothing_where_names_would_clash(own_catalog: None) -> None:
    """What was registered is still there, and the plug-in still left out."""
    zoo.configure(disable=["zoo_attention"])
    zoo.attention("se", family="channel")(Gate)
    zoo.attention("mine", family="channel")(Gate)
    with pytest.raises(PluginError, match="attention/se is offered by"):
        zoo.configure()
    assert plugins.catalog().component("attention", "se").load() is Gate
    assert plugins.catalog().component("attention", "mine").load() is Gate


def test_a_plugin_that_uses_a_decorator_is_broken_and_says_so(
    own_catalog: None, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it offers so would be lost, as the catalog that it asks for is only being made."""
    code = """
    import zoo
    @zoo.attention("lost", family="channel")
    class Lost: pass
    """
    monkeypatch.setattr(plugins, "installed_entry_points", lambda: [make_plugin("lost", code)])
    with pytest.warns(PluginWarning, match="offers components by its hooks"):
        catalog = plugins.catalog()
    assert [plugin.state for plugin in catalog.plugins] == ["broken"]
    assert plugins.catalog() is catalog


def test_one_name_is_one_plugin(own_catalog: None, make_plugin: MakePlugin) -> None:
    """A text is not taken for its letters, and a part of a name for none."""
    zoo.configure(disable="zoo_timm")
    states = {plugin.entry.name: plugin.state for plugin in plugins.catalog().plugins}
    assert states["zoo_timm"] == "disabled"
    assert states["zoo_cnn"] == "loaded"
    entry = make_plugin("one")
    assert Catalog([entry], disable="one_and_more").plugins[0].state == "loaded"


def test_a_plugin_that_is_not_there_cannot_be_left_out(own_catalog: None) -> None:
    """A misspelt name would leave the plug-in in; nothing is changed."""
    with pytest.raises(
        UnknownName, match=r"No plug-in 'zoo_tim' is installed\. Did you mean 'zoo_timm'"
    ):
        zoo.configure(disable=["zoo_cnn", "zoo_tim"])
    assert {plugin.state for plugin in plugins.catalog().plugins} == {"loaded"}

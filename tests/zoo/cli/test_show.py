"""`zoo show`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from torch import nn

import zoo
from zoo import Component, plugins
from zoo.cli.show import _options


@pytest.fixture
def registry(make_registry):
    """`small`, with weights, everything that can be said of a version, and one withdrawn; `bare`, with nothing."""
    full = {
        "blob": b"weights",
        "params": 99_370,
        "metrics": {"mnist/test/top1": {"mean": 0.9947, "std": 0.0004, "seeds": 3, "value": 0.995}},
        "recipe": {"epochs": 20, "augment": [{"name": "affine", "degrees": 10}]},
        "license": "Apache-2.0",
        "requires": {"attn-zoo": ">=0.1"},
        "provenance": {"data": "mnist", "note": "\x1b[31m"},
    }
    return make_registry(
        small={"1.0.0": {"status": {"yanked": "trained on the test set"}}, "1.1.0": full},
        bare={"1.0.0": {}},
    )


def test_a_version_is_shown_whole(command, registry):
    """Spec, weights, figures, recipe, licence, provenance and the other versions are all there."""
    done = command("show", "small", registry=registry)
    lines = [line.strip() for line in done.out.splitlines()]

    assert (done.code, done.err) == (0, "")
    assert lines[:2] == ["small@1.1.0", "The small."]
    assert f"registry    tests at {registry.root}" in lines
    assert "parameters  99,370 (99.4 k)" in lines
    assert (
        "weights     sha256:9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c, 7 bytes"
        in lines
    )
    assert "licence     Apache-2.0" in lines
    assert "requires    attn-zoo >=0.1" in lines
    assert "versions    1.0.0 (withdrawn), 1.1.0 (this)" in lines
    assert "mnist/test/top1: 99.47 % ± 0.04 (mean of 3 trainings; these weights 99.50 %)" in lines
    assert "- {name: se, slot: branch}" in lines
    assert "backbone:" in lines
    assert "epochs: 20" in lines
    assert "\x1b" not in done.out


def test_a_version_without_a_summary_has_no_line_of_blanks(command, make_registry):
    """One empty line parts the ref from what follows."""
    registry = make_registry(bare={"1.0.0": {}})
    path = Path(registry.base) / "registry.yaml"
    path.write_text(path.read_text().replace('"summary": "The bare.",', ""))
    registry = zoo.Registry(path.parent)
    lines = command("show", "bare", registry=registry).out.splitlines()
    assert (lines[0], lines[1], lines[2].split()[0]) == ("bare@1.0.0", "", "registry")


def test_a_version_with_little_says_so(command, registry):
    """What a registry does not say is named, not left to guess."""
    out = command("show", "bare", registry=registry).out

    assert "weights     none" in out
    assert "parameters  not said" in out
    assert "licence     not said" in out


def test_a_withdrawn_version_is_shown_with_a_warning(command, registry):
    """Asked for exactly, a withdrawn version is shown, with the reason."""
    done = command("show", "small@1.0.0", registry=registry)

    assert done.code == 0
    assert done.err == (
        "zoo: warning: small@1.0.0 was withdrawn by its publisher: trained on the test set\n"
    )
    assert "withdrawn   trained on the test set" in done.out


def test_a_version_as_json(command, registry):
    """`--json` gives all of it as data."""
    data = json.loads(command("show", "small", "--json", registry=registry).out)

    assert data["ref"] == "small@1.1.0"
    assert data["weights"]["size"] == 7
    assert data["spec"]["attention"] == [{"name": "se", "slot": "branch"}]
    assert data["provenance"]["note"] == "\x1b[31m"
    assert data["versions"] == ["1.0.0", "1.1.0"]


def test_a_component_is_shown_with_its_header_and_options(command):
    """The header of the component's file, its origin, and its options with defaults are shown."""
    done = command("show", "attention/se")

    assert (done.code, done.err) == (0, "")
    for text in (
        "Formula  z = mean of x over space",
        "family      channel",
        "paper       arXiv 1709.01507",
        "works on    (N, C, L) and (N, C, H, W)",
        "origin      attn-zoo 0.1.0",
        "class       zoo_attention.channel.se:SqueezeExcite",
        "options     reduction: int = 16",
        "            min_hidden: int = 8",
    ):
        assert f"  {text}" in done.out
    assert "ndim" not in done.out.partition("options")[2]


def test_a_component_as_json(command):
    """`--json` gives the same as data."""
    data = json.loads(command("show", "attention/cbam", "--json").out)

    assert (data["kind"], data["name"], data["family"]) == ("attention", "cbam", "mixed")
    assert data["options"]["reduction"]["default"].isdigit()
    assert data["about"][0].startswith("Convolutional block attention")


@pytest.mark.parametrize("what", ["backbone/timm/resnet18", "timm/resnet18"])
def test_a_name_in_a_name_space_is_shown(command, what):
    """A backbone of a name space is shown by its whole name, with the input that it asks for."""
    done = command("show", what)

    assert done.code == 0
    assert done.out.startswith("backbone/timm/resnet18\n")
    assert "'size': [224, 224]" in done.out
    assert "architecture" not in done.out.partition("options")[2]


def test_a_run_is_shown_by_its_best_model(command, tmp_path):
    """As its file is."""
    (tmp_path / "run.json").write_text("{}")
    file = zoo.save(zoo.compose("plain_cnn"), tmp_path / "best.safetensors")

    done = command("show", str(tmp_path))

    assert done.code == 0
    assert done.out == command("show", str(file)).out


def test_a_component_of_this_process_is_shown(command, own_catalog):
    """What was registered in this process is shown, too, with control characters escaped."""

    class Odd(nn.Module):
        def __init__(self, channels, *, ndim=2, scale, plain=None): ...

    Odd.__module__ = "__main__"
    Odd.__doc__ = "Odd \x1b[2J."
    plugins.register(Component(kind="attention", name="odd", target=Odd, summary="\x07"))

    out = command("show", "attention/odd").out

    assert "  Odd \\x1b[2J." in out
    assert "origin      this process (zoo.register)" in out
    assert _options(Odd) == {"scale": ("any", "(required)"), "plain": ("any", "None")}


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("smal", "No variant is called 'smal'. Did you mean 'small'?"),
        ("small@3", "There is no small@3. Versions of small: 1.0.0 (withdrawn), 1.1.0."),
        ("small@1.0", "There is no small@1.0. Versions of small:"),
        ("small@", "'small@' is no ref"),
        ("Small", "There is no file and no folder 'Small'. Nor is it a ref: 'Small' is no name"),
        ("a/b/c", "Nor is it a ref: 'a/b' is no name"),
        ("zo/small", "there is no registry 'zo'. Did you mean 'zoo'?"),
        ("attention/cbm", "No plug-in offers attention/cbm. Did you mean 'cbam'"),
        ("attention/", "No plug-in offers attention/."),
        ("cbam", "A component has that name: `zoo show attention/cbam`."),
        ("timm/resnt18", "timm has no architecture 'resnt18'. Did you mean 'resnet18'"),
        ("small\x1b[2J", "Nor is it a ref: 'small\\x1b[2J' is no name"),
    ],
)
def test_what_nobody_knows_is_an_error(command, registry, what, message):
    """An unknown name, version or ref gives one message that lists what is near, and exit code 2."""
    done = command("show", what, registry=registry)

    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1


def test_what_a_version_lacks_here_is_shown(command, make_registry):
    """Asked exactly it is shown, with the command that installs all; its plain name comes to nothing yet."""
    needs = {"requires": {"no-such-one": ">=0.3", "no-other": ">=0.1"}}
    registry = make_registry(a_net={"1.0.0": needs})
    done = command("show", "a_net@1.0.0", registry=registry)
    assert "  missing     Install them: pip install no-such-one no-other\n" in done.out
    done = command("show", "a_net", registry=registry)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("zoo: error: a_net needs what is not installed here. Versions")
    assert done.err.endswith("Install them: pip install no-other no-such-one\n")


def test_a_class_that_cannot_be_imported_is_an_error(process, make_plugin):
    """A component whose target does not exist is named with its distribution."""
    make_plugin(
        "zoo_hollow",
        "from zoo import Component, hookimpl\n"
        "@hookimpl\n"
        "def zoo_heads():\n"
        "    return [Component(name='hollow', target='zoo_hollow.nowhere:Hollow')]\n",
    )

    done = process("show", "head/hollow")

    assert (done.code, done.out) == (2, "")
    assert (
        "head/hollow of zoo-hollow 1.0 cannot be loaded from 'zoo_hollow.nowhere:Hollow'"
        in done.err
    )
    assert "Traceback" not in done.err


def test_a_file_says_what_it_holds(command, tmp_path, small_spec):
    """Spec, components and figures of a file are shown, and its parameters apart from its other values."""
    model = zoo.compose(zoo.Spec.from_data(small_spec))
    path = zoo.save(
        model,
        tmp_path / "mine.safetensors",
        metrics={"pets/test/top1": {"mean": 0.5, "seeds": 1}},
    )

    done = command("show", str(path))
    data = json.loads(command("show", str(path), "--json").out)

    assert done.code == 0
    assert f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" in done.out
    assert "pets/test/top1" in done.out
    assert data["spec"]["backbone"]["name"] == "attn_cnn"
    assert "attention/se" in data["components"]
    number = sum(parameter.numel() for parameter in model.parameters())
    assert data["params"] == number < data["values"]
    assert f"  parameters  {number:,} (" in done.out
    assert f"  values      {data['values']:,} in {len(model.state_dict())} tensors\n" in done.out

    path.write_bytes(b"no weights")
    assert "is no safetensors file" in command("show", str(path)).err


def test_a_file_of_components_that_are_not_here_is_shown(
    command, own_catalog, tmp_path, monkeypatch
):
    """That they were registered in a process, and why nothing was counted."""

    class Same(nn.Module):
        def __init__(self, channels, *, ndim=2):
            super().__init__()

        def forward(self, x, mask=None):
            return x

    for name in ("one", "two"):
        zoo.attention(name, family="channel")(Same)
    path = str(zoo.save(zoo.compose("attn_cnn + one@last + two@last"), tmp_path / "m.safetensors"))
    assert "not counted" not in command("show", path).out
    monkeypatch.setattr(plugins, "_default", None)

    done = command("show", path)

    assert done.code == 0
    assert "    attention/one: registered in a process\n" in done.out
    assert (
        f"  parameters  not counted: {path} needs attention/one and attention/two, which were registered in the "
        "process that saved it and belong to no distribution. Register them here, too" in done.out
    )
    assert json.loads(command("show", path, "--json").out)["params"] is None

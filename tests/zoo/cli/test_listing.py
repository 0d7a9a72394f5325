"""`zoo list`."""

from __future__ import annotations

import json

import pytest

import zoo
from zoo import Component, plugins

SELF_SPEC = {
    "backbone": {"name": "attn_cnn"},
    "attention": [{"name": "mhsa", "slot": "last"}],
    "output": {"num_classes": 2},
}


@pytest.fixture
def registry(make_registry):
    """Two variants: `small`, with three versions and a figure, and `wide`."""
    metrics = {
        "mnist/validation/top1": {"mean": 0.99},
        "mnist/test/top1": {"mean": 0.9947, "std": 0.0004, "seeds": 3},
    }
    return make_registry(
        small={
            "1.0.0": {"params": 99_370},
            "1.1.0": {"params": 99_370, "metrics": metrics},
            "2.0.0-rc1": {},
        },
        wide={"1.0.0": {"params": 2_500_000, "spec": SELF_SPEC}},
    )


def names(done):
    """The refs that a table shows."""
    return [line.split()[0] for line in done.out.splitlines()[1:]]


def test_each_variant_is_one_row(command, registry):
    """A variant is listed by the version that its plain name comes to, with all there is to know at a glance."""
    done = command("list", registry=registry)

    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "REF          PARAMS  METRICS                    COMPONENTS             SUMMARY",
        "small@1.1.0  99.4 k  mnist top1 99.47 % ± 0.04  attn_cnn + se + avg    The small.",
        "wide@1.0.0   2.5 M                              attn_cnn + mhsa + avg  The wide.",
    ]


def test_variants_of_several_registries_stand_with_theirs(command, registry, make_registry):
    """Where those that are shown are of one, the table has no column for it."""
    zoo.add_registry("team", make_registry("theirs", id="theirs", a_net={"1.0.0": {}}).base)
    done = command("list", registry=registry)
    assert [line.split()[:2] for line in done.out.splitlines()] == [
        ["REF", "REGISTRY"],
        ["a_net@1.0.0", "team"],
        ["small@1.1.0", "zoo"],
        ["wide@1.0.0", "zoo"],
    ]
    assert "REGISTRY" not in command("list", "*_net", registry=registry).out


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["s*"], ["small@1.1.0"]),
        (["--attention", "mhsa"], ["wide@1.0.0"]),
        (["--family", "channel"], ["small@1.1.0"]),
        (["--backbone", "attn_cnn"], ["small@1.1.0", "wide@1.0.0"]),
        (["--head", "a*"], ["small@1.1.0", "wide@1.0.0"]),
        (["--max-params", "1M"], ["small@1.1.0"]),
        (["--metric", "mnist/test/top1>0.99"], ["small@1.1.0"]),
        (["--ndim", "2", "--sort", "params"], ["small@1.1.0", "wide@1.0.0"]),
        (["--sort", "mnist/test/top1"], ["small@1.1.0", "wide@1.0.0"]),
    ],
)
def test_conditions_pick(command, registry, words, found):
    """Each condition leaves those variants of which it holds."""
    assert names(command("list", *words, registry=registry)) == found


def test_json_has_every_field(command, registry):
    """`--json` gives the rows of `zoo.list_variants`."""
    first, _ = json.loads(command("list", "--json", registry=registry).out)

    assert first["ref"] == "small@1.1.0"
    assert first["registry"] == "zoo"
    assert first["components"] == ["backbone/attn_cnn", "attention/se", "head/avg"]
    assert first["metrics"]["mnist/test/top1"]["seeds"] == 3


def test_a_narrow_terminal_gets_narrow_lines(command, registry, monkeypatch):
    """The table keeps to the terminal's width."""
    monkeypatch.setenv("COLUMNS", "48")

    out = command("list", registry=registry).out

    assert "small@1.1.0  99.4 k" in out
    assert max(map(len, out.splitlines())) <= 48


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["smal"],
            "No variant has a name like 'smal'. Did you mean 'small'? To see them all: `zoo list`.",
        ),
        (["x*"], "No variant has a name like 'x*'. To see them all: `zoo list`."),
        (
            ["--max-params", "1k", "--attention", "cbam"],
            "No variant has --attention cbam and --max-params 1k. Leave out a condition to see more, or all: `zoo list`.",
        ),
    ],
)
def test_nothing_found_says_how_to_widen(command, registry, words, message):
    """An empty list is no silence."""
    assert command("list", *words, registry=registry) == (0, f"{message}\n", "")


def test_nothing_found_is_empty_json(command, registry):
    """Programs get an empty list."""
    assert command("list", "x*", "--json", registry=registry).out == "[]\n"


def test_an_empty_registry_says_what_there_is_instead(command, make_registry):
    """Without any variant the components are pointed to."""
    assert "`zoo list --components`" in command("list", registry=make_registry()).out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--attention", "cbm"], "No plug-in offers attention/cbm. Did you mean 'cbam'"),
        (["--head", "cbam"], "No plug-in offers head/cbam. cbam is an attention"),
        (["--backbone", "attn_cn"], "No plug-in offers backbone/attn_cn. Did you mean 'attn_cnn'"),
        (["--family", "chanel"], "There is no family 'chanel'. Did you mean 'channel'?"),
        (["--sort", "mnist/test/top2"], "Did you mean 'mnist/test/top1'"),
        (
            ["--metric", "top1"],
            "No variant has a metric 'top1'. Known: 'mnist/test/top1', 'mnist/v",
        ),
        (
            ["--metric", "mnist/test/top2>0.9"],
            "No variant has a metric 'mnist/test/top2'. Did you mean 'mnist/test/top1'",
        ),
        (["--metric", ">"], "'>' is no condition on a metric"),
        (["--max-params", "lots"], "--max-params: 'lots' is no whole number."),
        (["--limit", "x"], "--limit: 'x' is no whole number."),
        (["--limit", "-1"], "--limit: '-1' is too small. Give at least 0."),
        (["--components", "--limit", "3"], "--limit picks variants; leave it out with --comp"),
        (
            ["--components", "atention"],
            "'atention' is no kind of component. Did you mean 'attention'?",
        ),
        (
            ["--components", "--sort", "params"],
            "--sort picks variants; leave it out with --components.",
        ),
        (
            ["--components", "--family", "chanel"],
            "There is no family 'chanel'. Did you mean 'channel'?",
        ),
    ],
)
def test_a_name_that_nobody_offers_is_an_error(command, registry, words, message):
    """A misspelt condition is told, with the near miss, instead of finding nothing."""
    done = command("list", *words, registry=registry)

    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_a_broken_registry_is_an_error(command, make_registry):
    """A registry that breaks a rule is refused with its line, and no traceback."""
    broken = make_registry()
    (broken.root / "registry.yaml").write_text(
        "schema: 1\nid: tests\nserial: 1\nvariants: {}\nextra: 1\n"
    )

    done = command("list", registry=broken)

    assert (done.code, done.out) == (2, "")
    assert "registry.yaml:5: extra: unknown field" in done.err


def test_components_are_listed_with_their_origin(command):
    """`--components` shows what plug-ins offer, whole or by kind, name and family."""
    done = command("list", "--components", "attention")

    assert done.code == 0
    assert done.out.splitlines()[0].split() == ["COMPONENT", "FAMILY", "ORIGIN", "PAPER", "SUMMARY"]
    assert "attention/cbam" in done.out
    assert "arXiv 1807.06521" in done.out
    assert "head/" not in done.out
    assert names(command("list", "mh*", "--components")) == ["attention/mhsa"]
    assert "attention/cbam" not in command("list", "--components", "--family", "self").out
    assert "Nothing found" in command("list", "nothing*", "--components").out


def test_components_as_json(command, own_catalog):
    """`--json` gives every field; a summary's control characters come as escapes."""
    plugins.register(Component(kind="head", name="odd", target="odd:Odd", summary="\x1b[2J"))

    done = command("list", "odd", "--components", "--json")

    assert json.loads(done.out)[0]["summary"] == "\x1b[2J"
    assert "\x1b" not in done.out
    assert "\\x1b[2J" in command("list", "odd", "--components").out


@pytest.fixture
def many(make_registry):
    """1005 variants."""
    return make_registry(**{f"net_{number:04}": {"1.0.0": {}} for number in range(1005)})


def test_a_long_list_ends_with_a_note(command, many):
    """The first 1000, and beside them how many there are; the note is no row of the table."""
    done = command("list", registry=many)
    assert names(done)[-1] == "net_0999@1.0.0"
    assert len(names(done)) == 1000
    assert done.err == "zoo: note: 1000 of 1005 variants are shown. All: --limit 0\n"


@pytest.mark.parametrize(("limit", "shown"), [("3", 3), ("1005", 1005), ("2k", 1005), ("0", 1005)])
def test_the_limit_can_be_chosen(command, many, limit, shown):
    """0 stands for none; where all are shown there is no note."""
    done = command("list", "--limit", limit, registry=many)
    assert len(names(done)) == shown
    assert (done.err == "") == (shown == 1005)


def test_json_is_whole_unless_a_limit_is_given(command, many):
    """A program must not miss what a person would not read. A variant is a line."""
    everything = command("list", "--json", registry=many).out
    rows = json.loads(everything)
    assert len(rows) == 1005
    assert everything.count("\n") == 1007
    assert json.loads(command("list", "--json", "--limit", "2", registry=many).out) == rows[:2]


@pytest.fixture
def partly_usable(make_registry):
    """A variant that can be had here, one of which an older version can, and one that lacks two packages."""
    needs = {"requires": {"no-such-one": ">=0.3", "no-other": ">=0.1"}}
    return make_registry(
        small={"1.0.0": {}},
        wide={"1.0.0": {}, "2.0.0": {"requires": {"no-third": ">=1"}}},
        with_plug={"1.0.0": {**needs, "spec": SELF_SPEC}},
    )


def test_what_lacks_packages_is_counted(command, partly_usable):
    """And the packages are named: in the table and for programs."""
    note = (
        "zoo: note: 1 variant not shown, for want of packages that are not installed here. "
        "Install them: pip install no-other no-such-one\n"
    )
    done = command("list", registry=partly_usable)
    assert names(done) == ["small@1.0.0", "wide@1.0.0"]
    assert done.err == note
    done = command("list", "--json", "--attention", "mhsa", registry=partly_usable)
    assert (json.loads(done.out), done.err) == ([], note)


def test_a_name_that_lacks_packages_is_known(command, partly_usable):
    """It is no near miss of itself."""
    done = command("list", "with_plug", registry=partly_usable)
    assert done.out == "No variant of these can be used here.\n"
    assert "pip install no-other no-such-one" in done.err
    done = command("list", "with_plug", "--attention", "se", registry=partly_usable)
    assert done.out.startswith("No variant has a name like 'with_plug' and --attention se. Leave")
    assert done.err == ""


def test_a_registry_of_which_nothing_can_be_used_is_not_empty(command, make_registry):
    """It says what is missing."""
    registry = make_registry(a_net={"1.0.0": {"requires": {"no-other": ">=1"}}})
    done = command("list", registry=registry)
    assert "There are no variants" not in done.out
    assert "1 variant not shown" in done.err

"""The short form: another way to write a spec, and nothing more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import zoo
from zoo.grammar import is_short_form, parse, to_text
from zoo.spec import Spec

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
RESERVED = {"name", "slot", "stages", "blocks", "start", "pretrained", "dropout", "hidden"}
OPTIONS = st.dictionaries(
    NAMES.filter(lambda name: name not in RESERVED),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
        ),
        max_leaves=4,
    ),
    max_size=3,
)
PLACEMENTS = st.fixed_dictionaries(
    {"name": NAMES, "slot": st.sampled_from(["branch", "block", "stage", "last", "conv"])},
    optional={
        "stages": st.lists(st.integers(-4, 4), min_size=1, max_size=3),
        "blocks": st.sampled_from(["first", "last", {"every": 2}, [1, -1]]),
        "start": st.just("identity"),
    },
)
SPECS = st.builds(
    lambda backbone, attention, head, output, size: {
        "input": {"kind": "image", "channels": 3, **size},
        "backbone": backbone,
        "attention": attention,
        "head": head,
        "output": output,
    },
    st.builds(
        lambda name, options: {"name": name, **options},
        NAMES | st.just("timm/resnet50.a1_in1k"),
        OPTIONS,
    ),
    st.lists(
        st.builds(lambda block, options: {**options, **block}, PLACEMENTS, OPTIONS), max_size=3
    ),
    st.builds(lambda name, options: {"name": name, "hidden": [8], **options}, NAMES, OPTIONS),
    st.sampled_from([{}, {"num_classes": 10}, {"labels": ["a", "b c", 'd"(']}]),
    st.sampled_from([{}, {"size": [28, 28], "mean": [0.1, 0.2, 0.3]}]),
)


@given(SPECS)
def test_text_says_the_whole_spec(data: dict[str, object]) -> None:
    """Any spec, written in the short form and read again, is equal."""
    spec = Spec.from_data(data)
    assert Spec.from_data(parse(to_text(spec))) == spec


def test_reads_what_people_write() -> None:
    """Ranges, single numbers and words mean what they look like."""
    text = "timm/resnet50 + cbam@branch(stages=3:4, reduction=8) + se@block( stages = -1, blocks=every:2 ) + gem"
    assert parse(text) == {
        "backbone": {"name": "timm/resnet50"},
        "attention": [
            {"name": "cbam", "slot": "branch", "stages": [3, 4], "reduction": 8},
            {"name": "se", "slot": "block", "stages": -1, "blocks": {"every": 2}},
        ],
        "head": {"name": "gem"},
    }


def test_composes_what_the_blocks_compose() -> None:
    """A text and the blocks it stands for give equal specs."""
    by_text = zoo.compose("attn_cnn(widths=[8, 16]) + se@branch(reduction=4) + gem", num_classes=3)
    by_blocks = zoo.compose(
        {"name": "attn_cnn", "widths": [8, 16]},
        {"name": "se", "slot": "branch", "reduction": 4},
        "gem",
        num_classes=3,
    )
    assert by_text.spec == by_blocks.spec


def test_refuses_what_is_said_twice() -> None:
    """A head in the text and one beside it is an error, not a choice."""
    with pytest.raises(zoo.InvalidSpec, match="says the head already"):
        zoo.compose("attn_cnn + gem", head="avg")


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("", 1, "the name of a component"),
        ("attn_cnn + cbam@", 17, "the name of a slot"),
        ("attn_cnn + + gem", 12, "the name of a component"),
        (
            "attn_cnn + gem + avg",
            18,
            "'gem' and 'avg' would both be the head; an attention says its slot, e.g. gem@branch",
        ),
        ("attn_cnn + se@branch(reduction=)", 32, "expected a value"),
        ("attn_cnn + se@branch(reduction 8)", 32, "expected '=' behind 'reduction'"),
        ("attn_cnn + se@branch(a=1 b=2)", 26, "expected ',' or '\\)'"),
        ("attn_cnn + se@branch(a=1, a=2)", 27, "the option 'a' a second time"),
        ("attn_cnn + se@branch(stages=4:2)", 29, "runs backwards"),
        ("attn_cnn gem", 10, "expected '\\+', '->' or the end"),
        ("attn_cnn + se@branch(", 22, "the name of an option"),
        ("a + se@last(stages=1:999999999999)", 20, "the range 1:999999999999 has more than 1000"),
        ("a + se@last(stages=1:" + "9" * 5000 + ")", 20, "a number of 5000 digits"),
        ("a + se@last(blocks=every:" + "9" * 5000 + ")", 5026, "a number of 5000 digits"),
        ("a + se@last(x=" + "[" * 100_000, 15, "expected a value"),
        ("se@branch + gem", 11, "the first component is the backbone"),
    ],
)
def test_points_at_the_place(text: str, place: int, what: str) -> None:
    """A parse error names the character, says what was expected, and draws a caret below it."""
    with pytest.raises(zoo.InvalidSpec, match=f"at character {place}: .*{what}") as caught:
        parse(text)
    shown, caret = str(caught.value).split("\n")[1:]
    assert shown == f"    {text}"
    assert caret.index("^") == 3 + place


@given(st.text(max_size=40))
def test_refuses_noise_with_one_kind_of_error(text: str) -> None:
    """Whatever the text, it is read or refused as an InvalidSpec."""
    try:
        data = parse(text)
    except zoo.InvalidSpec:
        return
    assert "backbone" in data


def test_tells_a_name_from_a_short_form() -> None:
    """The name of one component is no short form; anything more is."""
    assert not is_short_form("timm/resnet50.a1_in1k")
    assert is_short_form("attn_cnn + gem")
    assert is_short_form("attn_cnn(widths=[8])")


def test_attentions_are_read_alone() -> None:
    """Each with its slot, wherever attentions are asked for."""
    net = "attn_cnn(widths=[4], depths=[1])"
    model = zoo.compose(net, attention="se@branch(reduction=2) + cbam@last")
    assert [(one.name, one.slot) for one in model.spec.attention] == [
        ("se", "branch"),
        ("cbam", "last"),
    ]
    listed = zoo.compose(net, attention=["se@branch(reduction=2)", "cbam@last"])
    assert listed.spec == model.spec


@pytest.mark.parametrize(
    ("attention", "message"),
    [
        ("se + cbam@last", "at character 4: expected '@' and a slot behind 'se'"),
        ("se@branch -> classes(num_classes=5)", "at character 11: .* only attentions stand here"),
        ("se@branch + gem", "expected '@' and a slot behind 'gem'"),
        ('gem(p="@")', "expected '@' and a slot behind 'gem'"),
    ],
)
def test_what_is_no_attention_is_not_passed_over(attention: str, message: str) -> None:
    """Else another model would be built than was written."""
    with pytest.raises(zoo.InvalidSpec, match=message):
        zoo.compose("attn_cnn", attention=attention)


@pytest.mark.parametrize(
    ("python", "ours"), [("True", "true"), ("False", "false"), ("None", "null")]
)
def test_words_of_python_are_not_taken_for_texts(python: str, ours: str) -> None:
    """They would be true, all three; quoted they are texts."""
    with pytest.raises(zoo.InvalidSpec, match=f"{python} is written {ours} here"):
        parse(f"attn_cnn + se@branch(use_bias={python})")
    quoted = parse(f'any(x="{python}")')
    assert quoted["backbone"]["x"] == python


def test_a_spec_in_place_of_a_ref_is_answered_with_compose() -> None:
    """And a wrong name with the form of refs."""
    with pytest.raises(
        zoo.InvalidRef, match=r"a spec in the short form\. Compose it: zoo\.compose"
    ):
        zoo.create("attn_cnn + cbam@branch")
    with pytest.raises(zoo.InvalidRef, match="Forms: name"):
        zoo.create("Attn CNN")

"""Texts: tokens, vocabularies, and the model that carries one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from zoo import InvalidSpec, InvalidValue
from zoo.inputs.text import TextTransform, Vocabulary, build_vocabulary, tokenize, vocabulary_sizes
from zoo.spec import TextInput

WORDS = ["good", "bad", "naïve", "don't", "!"]
TEXT_CNN = {"name": "text_cnn", "embedding_dim": 8, "maps": 4}


def compose(words: list[str] = WORDS, **fields: Any) -> zoo.Model:
    """Compose a small classifier of texts."""
    block = {"kind": "text", "vocabulary": words, **fields}
    return zoo.compose(TEXT_CNN, head="max", input=block, labels=["worse", "better"])


def test_splits_words_and_marks() -> None:
    """Words keep their apostrophes, marks stand alone, and case goes where asked."""
    assert tokenize("Don't stop: it's GOOD!") == ["don't", "stop", ":", "it's", "good", "!"]
    assert tokenize("GOOD", lower=False) == ["GOOD"]
    assert tokenize("nai\u0308ve") == ["na\u00efve"]
    assert tokenize(" \n\t") == []


def test_vocabulary_is_counted() -> None:
    """The most frequent tokens come first, equally frequent ones by alphabet; rare ones can be left out."""
    texts = ["b a b", "C c b", "d"]
    assert build_vocabulary(texts) == ["b", "c", "a", "d"]
    assert build_vocabulary(texts, minimum_count=2) == ["b", "c"]
    assert build_vocabulary(texts, most=1) == ["b"]
    assert build_vocabulary(texts, lower=False) == ["b", "C", "a", "c", "d"]


def test_numbers_tokens_from_two() -> None:
    """0 is padding and 1 any unknown token; the vocabulary follows in its order."""
    transform = compose().transform()
    assert transform("Good, don't! naïve").tolist() == [2, 1, 5, 6, 4]
    assert transform("good").dtype == torch.long


def test_cuts_long_texts() -> None:
    """`length` is the most tokens that are taken."""
    assert compose(length=2).transform()("good bad good").tolist() == [2, 3]


def test_predicts_from_a_string() -> None:
    """`zoo.predict` takes a text."""
    found = zoo.predict(compose(), "not so good!")
    assert {one.label for one in found} == {"worse", "better"}


def test_file_keeps_the_vocabulary(tmp_path: Path) -> None:
    """A loaded model knows the same tokens, and says the same of a text."""
    model = compose().eval()
    loaded = zoo.load(zoo.save(model, tmp_path / "model.safetensors"))
    assert loaded.vocabulary is not None
    assert loaded.vocabulary.tokens() == WORDS
    assert loaded.spec == model.spec
    assert zoo.predict(loaded, "good") == zoo.predict(model, "good")


def test_empty_vocabulary_knows_nothing() -> None:
    """A vocabulary of no tokens maps every token to unknown."""
    assert compose([]).transform()("good bad").tolist() == [1, 1]


def test_unset_vocabulary_is_told() -> None:
    """A model built from a spec alone says that its vocabulary is missing, until it is filled."""
    model = zoo.compose(compose().spec)
    with pytest.raises(InvalidValue, match=r"vocabulary is empty\. Load weights"):
        model.transform()
    assert model.vocabulary is not None
    model.vocabulary.fill(WORDS)
    assert model.transform()("bad").tolist() == [3]
    with pytest.raises(InvalidValue, match="built for 5 tokens of 23 bytes; got 1 of 1"):
        model.vocabulary.fill(["x"])


def test_damaged_vocabulary_is_told() -> None:
    """Bytes that are no UTF-8, or too few tokens, are not taken for a vocabulary."""
    vocabulary = Vocabulary(2, 3)
    vocabulary.joined.fill_(255)
    with pytest.raises(InvalidValue, match="is no UTF-8"):
        vocabulary.tokens()
    vocabulary.joined.fill_(ord("a"))
    with pytest.raises(InvalidValue, match="is damaged: it should have 2 distinct tokens"):
        vocabulary.tokens()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("good", "A vocabulary is a list of texts; got 'good'"),
        (["good", ""], "has ''; a token is a text of one line"),
        (["a\nb"], "a token is a text of one line"),
        ([3], "has 3; a token"),
        (["good", "good"], "has 'good' more than once"),
        (["Good"], "'Good', but texts are lower-cased"),
        (["\ud800"], "cannot be written as UTF-8"),
    ],
)
def test_refuses_bad_vocabularies(words: Any, message: str) -> None:
    """A token that cannot be kept, or would never be met, is named."""
    with pytest.raises(InvalidValue, match=message):
        vocabulary_sizes(words)


def test_cased_vocabulary_needs_cased_texts() -> None:
    """With `lower: False` tokens may have capitals."""
    model = compose(["Good"], lower=False)
    assert model.transform()("Good good").tolist() == [2, 1]


def test_sizes_must_be_those_of_the_vocabulary() -> None:
    """Sizes beside the tokens may stand only if they are right."""
    assert compose(vocabulary_size=5).spec.input.channels == 7
    with pytest.raises(InvalidSpec, match="vocabulary_size: 9 is not that of the vocabulary, 5"):
        compose(vocabulary_size=9)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ("", "The text '' has no words"),
        ("  \n", "has no words"),
        (b"good", "A text is a str; got bytes"),
        (["good"], "A text is a str; got list"),
    ],
)
def test_refuses_what_is_no_text(sample: Any, message: str) -> None:
    """An empty text, and what is no text, is answered clearly."""
    transform = TextTransform(TextInput(vocabulary_size=1, vocabulary_bytes=1), ["a"])
    with pytest.raises(InvalidValue, match=message):
        transform(sample)

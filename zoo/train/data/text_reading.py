"""Texts: numbered by a vocabulary that train alone decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from zoo.errors import InvalidValue
from zoo.inputs.text import TextTransform, build_vocabulary, tokenize, vocabulary_sizes
from zoo.spec import TextInput
from zoo.train.data.dataset import input_block
from zoo.train.data.reading import Finished
from zoo.train.data.splits import SequenceSplit, Split
from zoo.train.recipe import VocabularyRule

_SIZES = ("vocabulary_size", "vocabulary_bytes")


class TextReader:
    """Reads texts, and numbers their tokens in the end as `model.transform()` does.

    Args:
        asked: Fields that the input block has already.
        vocabulary: That of a model that there is; None builds one from train.
        rule: How it is built.
    """

    def __init__(
        self, asked: Mapping[str, Any], vocabulary: Sequence[str] | None, rule: VocabularyRule
    ) -> None:
        self.asked = {name: value for name, value in asked.items() if name not in _SIZES}
        self.lower = bool(asked.get("lower", True))
        self.vocabulary, self.rule = vocabulary, rule
        self.notes: list[str] = []

    def read(self, content: str, name: str) -> str:
        """Return a text.

        Raises:
            InvalidValue: There is no word in it.
        """
        if not tokenize(content, lower=self.lower):
            raise InvalidValue(f"{name}: the text {content!r:.60} has no words.")
        return content

    def finish(
        self, samples: Sequence[str], labels: Tensor, parts: Mapping[str, list[int]]
    ) -> Finished:
        """Build the vocabulary, and number the tokens of each split."""
        vocabulary = self.vocabulary
        if vocabulary is None:
            vocabulary = build_vocabulary(
                (samples[at] for at in parts["train"]),
                minimum_count=self.rule.minimum_count,
                most=self.rule.most,
                lower=self.lower,
            )
        sizes = vocabulary_sizes(vocabulary, lower=self.lower)
        source = input_block(self.asked, {"kind": "text", **sizes})
        if not isinstance(source, TextInput):
            raise InvalidValue(f"An input of kind {source.kind!r} is no text.")
        number = TextTransform(source, vocabulary)
        splits: dict[str, Split] = {
            split: SequenceSplit.pack([number(samples[at]) for at in chosen], labels[chosen])
            for split, chosen in parts.items()
        }
        return Finished(splits, source, tuple(vocabulary))

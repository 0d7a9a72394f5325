"""Texts: from a string to token numbers, and the vocabulary that a model carries."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import InvalidValue
from zoo.spec import TextInput

PADDING, UNKNOWN, FIRST = 0, 1, 2

# A word, with apostrophes inside; else a single mark.
_TOKEN = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


def tokenize(text: str, *, lower: bool = True) -> list[str]:
    """Split a text into words and marks, in Unicode's composed form."""
    text = unicodedata.normalize("NFC", text)
    return _TOKEN.findall(text.lower() if lower else text)


def build_vocabulary(
    texts: Iterable[str],
    *,
    minimum_count: int = 1,
    most: int | None = None,
    lower: bool = True,
) -> list[str]:
    """List the tokens of many texts, the most frequent first (and equally frequent ones by alphabet).

    Args:
        texts: The texts to learn from.
        minimum_count: Leave out tokens that are rarer.
        most: Keep at most so many.
        lower: Whether texts are lower-cased; as in the model's input block.
    """
    counts = Counter(token for text in texts for token in tokenize(text, lower=lower))
    frequent = [token for token, count in counts.items() if count >= minimum_count]
    return sorted(frequent, key=lambda token: (-counts[token], token))[:most]


def vocabulary_sizes(tokens: Sequence[str], *, lower: bool = True) -> dict[str, int]:
    """The fields `vocabulary_size` and `vocabulary_bytes` of the input block for a vocabulary.

    Raises:
        InvalidValue: It is no list of distinct texts that can be met in an input.
    """
    if isinstance(tokens, str) or not isinstance(tokens, Sequence):
        raise InvalidValue(f"A vocabulary is a list of texts; got {tokens!r:.80}.")
    for token in tokens:
        if not isinstance(token, str) or not token or "\n" in token or "\0" in token:
            raise InvalidValue(
                f"The vocabulary has {token!r:.80}; a token is a text of one line, not empty."
            )
        if lower and token != token.lower():
            raise InvalidValue(
                f"The vocabulary has {token!r:.80}, but texts are lower-cased, so it would never be met. "
                "Lower-case it, or say 'lower': False in the input block."
            )
    if len(set(tokens)) != len(tokens):
        twice = next(token for token, count in Counter(tokens).items() if count > 1)
        raise InvalidValue(f"The vocabulary has {twice!r:.80} more than once.")
    return {"vocabulary_size": len(tokens), "vocabulary_bytes": len(_joined(tokens))}


class Vocabulary(nn.Module):
    """The tokens of a model, kept as a buffer so that the saved file has them.

    Args:
        size: How many tokens.
        num_bytes: Length of the tokens joined by newlines, in UTF-8.
    """

    joined: Tensor

    def __init__(self, size: int, num_bytes: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("joined", torch.zeros(num_bytes, dtype=torch.uint8))

    def fill(self, tokens: Sequence[str]) -> None:
        """Set the tokens.

        Raises:
            InvalidValue: They are not of the sizes that the model was built for.
        """
        joined = _joined(tokens)
        if (len(tokens), len(joined)) != (self.size, len(self.joined)):
            raise InvalidValue(
                f"The model was built for {self.size} tokens of {len(self.joined)} bytes; got {len(tokens)} of "
                f"{len(joined)}. Compose it for this vocabulary: input={{'kind': 'text', 'vocabulary': [...]}}."
            )
        if joined:
            self.joined.copy_(torch.frombuffer(bytearray(joined), dtype=torch.uint8))

    def tokens(self) -> list[str]:
        """The tokens, in the order of their numbers.

        Raises:
            InvalidValue: They were never set, or are damaged.
        """
        if self.size == 0:
            return []
        content = self.joined.cpu().numpy().tobytes()
        if not any(content):
            raise InvalidValue(
                "The model's vocabulary is empty. Load weights, or set it: model.vocabulary.fill(tokens)."
            )
        try:
            tokens = content.decode("utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise InvalidValue(f"The model's vocabulary is no UTF-8: {error}.") from None
        if len(tokens) != self.size or len(set(tokens)) != self.size:
            raise InvalidValue(
                f"The model's vocabulary is damaged: it should have {self.size} distinct tokens."
            )
        return tokens


class TextTransform:
    """Turns a text into token numbers (L,), int64.

    Args:
        spec: The model's input block.
        tokens: The vocabulary.
    """

    def __init__(self, spec: TextInput, tokens: Sequence[str]) -> None:
        self.spec = spec
        self.numbers = {token: number for number, token in enumerate(tokens, FIRST)}

    def __call__(self, sample: Any) -> Tensor:
        """Return the text's token numbers.

        Raises:
            InvalidValue: It is no text, or there is no token in it.
        """
        if not isinstance(sample, str):
            raise InvalidValue(f"A text is a str; got {type(sample).__name__}.")
        tokens = tokenize(sample, lower=self.spec.lower)[: self.spec.length]
        if not tokens:
            raise InvalidValue(f"The text {sample!r:.80} has no words.")
        return torch.tensor([self.numbers.get(token, UNKNOWN) for token in tokens])


def _joined(tokens: Sequence[str]) -> bytes:
    try:
        return "\n".join(tokens).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidValue(f"The vocabulary cannot be written as UTF-8: {error}.") from None

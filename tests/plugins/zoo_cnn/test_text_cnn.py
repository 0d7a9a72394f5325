"""TextCNN against the paper's sums, and what padding does to it."""

from __future__ import annotations

import pytest
import torch
from zoo_cnn.text_cnn import TextCNN

import zoo
from zoo import InvalidSpec, InvalidValue, UnknownName

WORDS = ["good", "bad", "film", "not", "a"]


def test_follows_the_papers_sum() -> None:
    """Feature i of a window is relu(w . x[i : i + k] + b), wherever the window fits into the text."""
    torch.manual_seed(0)
    backbone = TextCNN(9, embedding_dim=5, maps=3, kernel_sizes=(2, 3, 4)).eval()
    tokens = torch.randint(1, 9, (2, 7))
    found = backbone(tokens)
    embedded = backbone.embedding.weight[tokens]  # (N, L, embedding_dim)
    for number, size in enumerate((2, 3, 4)):
        conv = backbone.windows[number].conv
        part = found[:, 3 * number : 3 * number + 3]
        for start in range(7 - size + 1):
            piece = embedded[:, start : start + size]
            expected = torch.einsum("nke,mek->nm", piece, conv.weight) + conv.bias
            torch.testing.assert_close(part[:, :, start + size // 2], expected.relu())


def test_papers_sizes() -> None:
    """By default 300-wide embeddings and 100 maps for each of the widths 3, 4 and 5."""
    backbone = TextCNN(1000)
    expected = 1000 * 300 + 100 * 300 * (3 + 4 + 5) + 3 * 100
    assert sum(parameter.numel() for parameter in backbone.parameters()) == expected
    assert backbone(torch.ones(2, 11, dtype=torch.long)).shape == (2, 300, 11)


def test_padding_token_is_zero_and_stays_so() -> None:
    """The embedding of padding is 0 and gets no gradient."""
    backbone = TextCNN(9, embedding_dim=5, maps=3)
    assert bool((backbone.embedding.weight[0] == 0).all())
    backbone(torch.tensor([[1, 2, 0, 0]])).sum().backward()
    assert bool((backbone.embedding.weight.grad[0] == 0).all())
    assert bool((backbone.embedding.weight.grad[1] != 0).any())


def test_padding_changes_nothing() -> None:
    """A text is classified alone as it is in a padded batch, with attentions in every slot that honour masks."""
    torch.manual_seed(0)
    attention = [{"name": "se", "slot": slot} for slot in ("block", "stage", "last")]
    model = zoo.compose(
        {"name": "text_cnn", "embedding_dim": 8, "maps": 8},
        attention,
        "max",
        input={"kind": "text", "vocabulary": WORDS},
        num_classes=3,
    ).eval()
    texts = [torch.randint(1, 7, (length,)) for length in (9, 1, 4)]
    alone = torch.cat([model(text[None]) for text in texts])
    batch = torch.stack([torch.nn.functional.pad(t, (0, 9 - len(t)), value=3) for t in texts])
    mask = torch.arange(9) < torch.tensor([[9], [1], [4]])
    torch.testing.assert_close(model(batch, mask), alone)
    assert not torch.allclose(model(batch), alone)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_takes_texts_shorter_than_a_window(length: int) -> None:
    """A text of one token is a text."""
    backbone = TextCNN(9, embedding_dim=5, maps=3)
    assert backbone(torch.ones(1, length, dtype=torch.long)).shape == (1, 9, length)


def test_convolutions_can_be_replaced() -> None:
    """Each width's convolution is a slot `conv`, brought to the number of maps."""
    model = zoo.compose(
        {"name": "text_cnn", "embedding_dim": 8, "maps": 4},
        {"name": "mhsa", "slot": "conv", "blocks": [1, 3], "num_heads": 2},
        "max",
        input={"kind": "text", "vocabulary": WORDS},
        num_classes=3,
    )
    assert len(model.attention_paths) == 2
    assert model(torch.ones(2, 6, dtype=torch.long)).shape == (2, 3)


def test_has_no_branches() -> None:
    """There is no residual branch, and the error says what there is."""
    with pytest.raises(
        UnknownName, match=r"text_cnn has no slot 'branch'\. It has: block, stage, last, conv"
    ):
        zoo.compose(
            "text_cnn",
            {"name": "se", "slot": "branch"},
            input={"kind": "text", "vocabulary": WORDS},
            num_classes=2,
        )


def test_needs_a_text_input() -> None:
    """Without a vocabulary there is nothing to embed, and the error says so."""
    with pytest.raises(InvalidSpec, match="which takes text"):
        zoo.compose("text_cnn", num_classes=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"embedding_dim": 0}, "embedding_dim is 0"),
        ({"maps": 2.5}, "maps is 2.5"),
        ({"kernel_sizes": ()}, "kernel_sizes is \\(\\)"),
        ({"kernel_sizes": 3}, "kernel_sizes is 3; give whole numbers"),
        ({"kernel_sizes": (0, 3)}, "kernel_sizes is \\(0, 3\\)"),
    ],
)
def test_refuses_bad_options(options: dict[str, object], message: str) -> None:
    """An option out of its range is answered with what is right."""
    with pytest.raises(InvalidValue, match=message):
        TextCNN(9, **options)


def test_refuses_too_few_token_numbers() -> None:
    """Padding and the unknown token need a number each."""
    with pytest.raises(InvalidValue, match="in_channels is 1; give at least 2"):
        TextCNN(1)

"""Parameters and multiply-adds, counted on modules whose numbers are known."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import zoo
from zoo import InvalidValue


class Rule(nn.Module):
    """A module that applies a function to its input and one parameter of the input's shape."""

    def __init__(self, rule):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 4, 6))
        self.register_buffer("table", torch.ones(1, 4, 6))
        self.rule = rule

    def forward(self, x):
        """Apply the rule."""
        return self.rule(self, x)


@pytest.mark.parametrize(
    ("rule", "count"),
    [
        (lambda m, x: x * m.weight, 24),
        (lambda m, x: x.clone().mul_(m.weight), 24),
        (lambda m, x: torch.addcmul(m.table, x, m.weight), 24),
        (lambda m, x: x * m.weight[:, :, :1], 24),
        (lambda m, x: m.weight * m.weight.mean(), 24),
        (lambda m, x: x @ m.weight.transpose(1, 2), 4 * 6 * 4),
        (lambda m, x: torch.einsum("ncl,ndl->ncd", x, m.weight), 4 * 6 * 4),
        (lambda m, x: x * 2, 0),
        (lambda m, x: x * torch.arange(6), 0),
        (lambda m, x: x * m.table, 0),
        (lambda m, x: torch.arange(6.0) * torch.ones(6), 0),
        (lambda m, x: x + m.weight, 0),
        (lambda m, x: (x / m.weight).softmax(2).mean(1), 0),
    ],
)
def test_products_count_and_nothing_else(rule, count) -> None:
    """Products of what varies count; sums, means, divisions and products with constants do not."""
    assert zoo.cost(Rule(rule), (4, 6)) == (24, count)


@pytest.mark.parametrize(
    ("module", "shape", "count"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), (3, 5, 7), 3 * 8 * 9 * 35),
        (nn.Conv2d(8, 8, 3, stride=2, groups=4), (8, 9, 9), 2 * 8 * 9 * 16),
        (nn.Conv1d(3, 8, 5, dilation=2), (3, 20), 3 * 8 * 5 * 12),
        (nn.Linear(10, 7), (10,), 70),
        (nn.BatchNorm2d(3), (3, 5, 5), 0),
        (nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)), (3, 4, 4), 0),
        (
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
            (5, 8),
            5 * (4 * 64 + 2 * 128) + 2 * 8 * 25,
        ),
    ],
)
def test_layers_count_as_their_formulas_say(module, shape, count) -> None:
    """Convolutions, linear layers and attention, also where torch has a fused layer for it."""
    assert zoo.cost(module, shape).multiply_adds == count
    assert zoo.cost(module, shape).parameters == sum(p.numel() for p in module.parameters())


def test_attention_of_torch_counts_both_products() -> None:
    """Queries with keys, and weights with values."""

    class Read(nn.Module):
        def forward(self, x):
            return functional.scaled_dot_product_attention(x, x, x)

    assert zoo.cost(Read(), (2, 7, 4)).multiply_adds == 2 * (2 * 7 * 7 * 4)


def test_the_module_is_left_as_it_was() -> None:
    """Mode, statistics, gradients and numbers stay; nothing of the count is left behind."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten())
    module[2].eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    zoo.cost(module, (3, 8, 8))
    assert [part.training for part in module] == [True, True, False, True]
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(type(p) is nn.Parameter and p.grad is None for p in module.parameters())
    assert torch.is_grad_enabled()
    assert torch.backends.mha.get_fastpath_enabled()


def test_resnet50_has_the_published_cost() -> None:
    """25.6 million parameters and 4.09 billion multiply-adds at 224 x 224, the size it asks for."""
    model = zoo.compose("timm/resnet50", num_classes=1000)
    assert zoo.cost(model) == (25_557_032, 4_089_184_256)


@pytest.mark.parametrize(
    ("backbone", "input", "shape"),
    [
        ("attn_cnn", {"kind": "image", "channels": 3, "size": [16, 16]}, (3, 16, 16)),
        ("audio_cnn", {"kind": "audio", "sample_rate": 16000, "seconds": 0.5}, (1, 8000)),
        ("text_cnn", {"kind": "text", "vocabulary": ["a", "b"], "length": 12}, (12,)),
    ],
)
def test_a_model_knows_its_size(backbone, input, shape) -> None:  # noqa: A002 - the word of the spec
    """Without a shape it is that of the input block; another one costs otherwise."""
    model = zoo.compose(backbone, input=input, num_classes=2)
    assert zoo.cost(model) == zoo.cost(model, shape)
    twice = (*shape[:-1], 2 * shape[-1])
    assert zoo.cost(model, twice).multiply_adds > 1.5 * zoo.cost(model).multiply_adds


def test_a_shape_must_come_from_somewhere() -> None:
    """What has no size of its own is refused, and the message names the axes."""
    with pytest.raises(InvalidValue, match=r"this Linear takes any size; give shape=\(channels, "):
        zoo.cost(nn.Linear(2, 2))
    with pytest.raises(
        InvalidValue, match=r"this Model .* shape=\(channels, samples\), that of one"
    ):
        zoo.cost(zoo.compose("audio_cnn"))


def test_a_name_is_no_model() -> None:
    """The message says how to make one of it."""
    with pytest.raises(InvalidValue, match=r"takes a model or module, .*; got 'attn_cnn_small'\.$"):
        zoo.cost("attn_cnn_small")  # type: ignore[arg-type]  # the mistake in question


@pytest.mark.parametrize(
    "shape", [(3, -1, 8), (3, 10**30, 8), (3, 10**18, 10**18), (3, 8.5, 8)], ids=str
)
def test_what_no_sample_can_be_is_refused(shape) -> None:
    """Sides below nothing, beyond what torch counts, and of no whole pixels; the message is one line."""
    with pytest.raises(InvalidValue, match=r"no sample has the shape \(3, .*\): .*Error: .+$"):
        zoo.cost(nn.Conv2d(3, 4, 3), shape)


def test_what_does_not_run_is_refused() -> None:
    """A shape that does not fit, and a module that looks at numbers, are named."""
    with pytest.raises(
        InvalidValue, match=r"Conv2d does not run on one sample of shape \(4, 8, 8\)"
    ):
        zoo.cost(nn.Conv2d(3, 4, 3), (4, 8, 8))
    with pytest.raises(
        InvalidValue, match=r"Rule does not run .* without its numbers: DataDependent"
    ):
        zoo.cost(Rule(lambda _, x: x if x.sum() > 0 else -x), (4, 6))


def test_a_cost_is_that_of_the_model_wherever_it_is() -> None:
    """Its sample is made where its weights are; the meta device stands for any other here."""
    model = zoo.compose(
        "image(size=[8, 8], channels=3) -> attn_cnn(widths=[4], depths=1)", num_classes=2
    )
    expected = zoo.cost(model)
    assert zoo.cost(model.to("meta")) == expected


def test_a_shape_that_is_none_is_refused() -> None:
    """A side alone, say."""
    with pytest.raises(InvalidValue, match="no sample has the shape 224"):
        zoo.cost(nn.Conv2d(3, 4, 3), 224)  # type: ignore[arg-type]

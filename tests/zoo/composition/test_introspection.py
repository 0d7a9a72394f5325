"""Attention maps: what each inserted attention weighs, without a trace left in the model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

import zoo
from zoo import AttentionMap


def test_each_attention_tells_its_weights_in_the_order_it_is_called() -> None:
    """Channel gates by channel, self-attention by position, summing to one."""
    placed = [{"name": "mhsa", "slot": "last"}, {"name": "se", "slot": "stage"}]
    model = zoo.compose({"name": "attn_cnn", "widths": [8, 16]}, placed, num_classes=2)
    maps = zoo.attention_maps(model, torch.randn(2, 3, 8, 6))
    assert list(maps) == ["backbone.stages.0.after", "backbone.stages.1.after", "last"]
    gate = maps["backbone.stages.0.after"].channel
    assert gate is not None
    assert gate.shape == (2, 8)
    received = maps["last"].spatial
    assert received is not None
    assert received.shape == (2, 4, 3)
    torch.testing.assert_close(received.sum((1, 2)), torch.ones(2))


def test_the_model_is_left_as_it_was() -> None:
    """Modes of each part, statistics, gradients and hooks, also after an error."""
    model = zoo.compose("attn_cnn", {"name": "se", "slot": "branch"}, num_classes=2).train()
    model.backbone.norm.eval()
    modes = {name: module.training for name, module in model.named_modules()}
    state = {name: value.clone() for name, value in model.state_dict().items()}
    zoo.attention_maps(model, torch.randn(2, 3, 8, 8))
    with pytest.raises(zoo.InvalidValue, match=r"takes \(batch, 3"):
        zoo.attention_maps(model, torch.randn(2, 4, 8, 8))
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_threads_that_share_a_model_get_their_own_maps() -> None:
    """Each of its own input, whoever else looks at the same time."""
    model = zoo.compose("attn_cnn", {"name": "se", "slot": "branch"}, num_classes=2).eval()
    images = [torch.full((1, 3, 8, 8), float(number)) for number in range(4)]

    def gates(image: torch.Tensor) -> list[torch.Tensor | None]:
        return [found.channel for found in zoo.attention_maps(model, image).values()]

    expected = [gates(image) for image in images] * 20
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(gates, images * 20))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_what_is_no_batch_or_no_model_is_answered_with_what_is() -> None:
    """A sample is prepared first, as the message says; then it works."""
    block = {"kind": "text", "vocabulary": ["who", "is", "it"]}
    model = zoo.compose("text_cnn + mhsa@last", input=block, num_classes=2)
    with pytest.raises(
        zoo.InvalidValue, match=r"got str\. .*model\.transform\(\)\(sample\)\.unsqueeze\(0\)"
    ):
        zoo.attention_maps(model, "who is it")  # type: ignore[arg-type]  # that is the point
    assert "last" in zoo.attention_maps(model, model.transform()("who is it").unsqueeze(0))
    with pytest.raises(zoo.InvalidValue, match=r"takes a model from zoo\.create.* got str\."):
        zoo.attention_maps("attn_cnn", torch.zeros(1, 3, 8, 8))  # type: ignore[arg-type]  # as above


def test_an_attention_that_cannot_tell_gives_an_empty_map(own_catalog: None) -> None:
    """It is there, so that one sees that it was asked."""

    class Silent(nn.Module):
        def __init__(self, channels: int, *, ndim: int = 2) -> None:
            super().__init__()

        def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
            return x

    zoo.attention("silent", family="channel")(Silent)
    model = zoo.compose("attn_cnn", {"name": "silent", "slot": "last"})
    assert zoo.attention_maps(model, torch.randn(1, 3, 8, 8)) == {"last": AttentionMap()}

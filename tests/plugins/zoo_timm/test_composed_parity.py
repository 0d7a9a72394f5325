"""Composed networks against timm's own: the same network, built by two libraries, with the same weights."""

from __future__ import annotations

import re

import pytest
import timm
import torch

import zoo

# What timm calls the parts of its attention, and what ours are called.
PARTS = {
    "se.fc1.": "reduce.",
    "se.fc2.": "expand.",
    "se.conv.": "conv.",
    "se.channel.fc1.": "reduce.",
    "se.channel.fc2.": "expand.",
    "se.spatial.conv.conv.": "conv.",
    "se.spatial.conv.bn.": "norm.",
}

CASES = {
    "seresnet18": ("timm/resnet18 + se@branch(use_bias=true)", {}),
    "seresnet34": ("timm/resnet34 + se@branch(use_bias=true)", {}),
    "seresnet50": ("timm/resnet50 + se@branch(use_bias=true)", {}),
    "seresnext50_32x4d": ("timm/resnext50_32x4d + se@branch(use_bias=true)", {}),
    "ecaresnet26t": ("timm/resnet26t + eca@branch", {}),
    "resnet18": (
        "timm/resnet18 + cbam@branch(use_batch_norm=true, min_hidden=1)",
        {"block_args": {"attn_layer": "cbam"}},
    ),
}


def translate(name: str, last_norm: str) -> str:
    """The name that a tensor of timm's network has in the composed model."""
    block, _, rest = re.match(r"(layer\d\.\d+\.)?((.*))", name).groups()
    if rest.startswith("fc."):
        return f"classifier.{rest[3:]}"
    for theirs, ours in PARTS.items():
        if block and rest.startswith(theirs):
            return f"backbone.net.{block}{last_norm}.attention.{ours}{rest[len(theirs) :]}"
    if block and rest.startswith(f"{last_norm}."):
        return f"backbone.net.{block}{last_norm}.module.{rest[len(last_norm) + 1 :]}"
    return f"backbone.net.{name}"


@pytest.mark.parametrize("architecture", CASES)
def test_equals_timms_own_network(architecture: str) -> None:
    """With timm's weights, copied by name, the logits are timm's to 1e-5."""
    text, options = CASES[architecture]
    torch.manual_seed(0)
    theirs = timm.create_model(architecture, **options).eval()
    with torch.no_grad():  # statistics and scales that are not all 0 and 1
        for name, tensor in theirs.state_dict().items():
            if name.endswith(("running_mean", "running_var", "bn3.weight", "bn2.weight")):
                tensor.uniform_(0.5, 1.5)
    ours = zoo.compose(f"{text} + native").eval()
    last_norm = "bn3" if "layer1.0.bn3.weight" in theirs.state_dict() else "bn2"
    expected = ours.state_dict()
    weights = {translate(name, last_norm): tensor for name, tensor in theirs.state_dict().items()}
    ours.load_state_dict({name: weights[name].view(expected[name].shape) for name in weights})
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        a, b = theirs(x), ours(x)
    assert a.abs().max() > 0.01
    assert torch.allclose(a, b, atol=1e-5 * float(a.abs().max()), rtol=1e-5)

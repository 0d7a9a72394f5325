"""`start: identity` with every attention in every slot: not one bit of the output changes."""

from __future__ import annotations

import pytest
import torch
from zoo_attention import COMPONENTS

import zoo

SLOTS = ("conv", "branch", "block", "stage", "last")
BACKBONE = {"name": "attn_cnn", "widths": [16, 32], "depths": 1}


@pytest.fixture(scope="module")
def plain() -> zoo.Model:
    """Compose the network without attention, with statistics that are not all 0 and 1."""
    torch.manual_seed(0)
    model = zoo.compose(BACKBONE, num_classes=3)
    with torch.no_grad():
        model(torch.randn(8, 3, 12, 12))
    return model.eval()


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda one: one.name)
def test_not_one_bit_changes(component: zoo.Component, plain: zoo.Model) -> None:
    """The logits are equal, and the gates get a gradient, so that training can open them."""
    attention = [{"name": component.name, "slot": slot, "start": "identity"} for slot in SLOTS]
    eased = zoo.compose(BACKBONE, attention, num_classes=3).eval()
    weights = plain.state_dict()
    with torch.no_grad():
        for name, tensor in eased.state_dict().items():
            if (source := name.replace(".conv2.original.", ".conv2.")) in weights:
                tensor.copy_(weights[source])
    x = torch.randn(2, 3, 12, 12)
    logits = eased(x)
    assert torch.equal(logits, plain(x))
    logits.square().sum().backward()
    gates = [
        p.grad for name, p in eased.named_parameters() if name.endswith(".gate") and p.ndim == 0
    ]
    assert len(gates) == 2 * 4 + 1
    assert all(gate is not None and bool(torch.isfinite(gate)) for gate in gates)

"""Training a part of a model, and each part at its own pace."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import zoo
from zoo.composition.finetuning import parts

TEXT = "attn_cnn(widths=[8, 16], depths=1) + se@branch(start=identity) + se@conv(stages=2) + se@last + gem(hidden=[4])"


@pytest.fixture
def model() -> zoo.Model:
    """Compose a model with attentions in the backbone and before the head."""
    torch.manual_seed(0)
    return zoo.compose(TEXT, num_classes=3)


def step(model: zoo.Model) -> set[str]:
    """Train one step and return the names of the parameters that moved."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1.0)
    model.train()
    model(torch.randn(4, 3, 12, 12)).square().sum().backward()
    optimizer.step()
    return {
        name for name, tensor in model.state_dict().items() if not torch.equal(before[name], tensor)
    }


def test_parts_know_what_an_insertion_added(model: zoo.Model) -> None:
    """Gates of an identity start are the attention's, dense layers the head's."""
    belongs = parts(model)
    assert belongs["backbone.stages.0.blocks.0.branch.gate"] == "attention"
    assert belongs["backbone.stages.0.blocks.0.branch.attention.reduce.weight"] == "attention"
    assert belongs["backbone.stages.1.blocks.0.conv2.reduce.weight"] == "attention"
    assert belongs["last.reduce.weight"] == "attention"
    assert belongs["backbone.stem.weight"] == "backbone"
    assert {belongs[name] for name in ("head.log_p", "dense.0.bias", "classifier.weight")} == {
        "head"
    }


@pytest.mark.parametrize("part", ["backbone", "attention", "head"])
def test_only_the_exception_moves(model: zoo.Model, part: str) -> None:
    """A step moves parameters of the part that is not frozen, and nothing else but its statistics."""
    zoo.freeze(model, except_=part)
    belongs = parts(model)
    moved = step(model)
    assert {belongs[name] for name in moved if name in belongs} == {part}
    statistics = {name for name in moved if name not in belongs}
    assert bool(statistics) == (part == "backbone")


def test_decides_afresh(model: zoo.Model) -> None:
    """Freezing again with another exception undoes the first, batch statistics included."""
    zoo.freeze(model)
    assert not step_is_possible(model)
    zoo.freeze(model, except_=("backbone", "attention", "head"))
    moved = step(model)
    assert "backbone.norm.running_mean" in moved
    assert "classifier.weight" in moved


def step_is_possible(model: zoo.Model) -> bool:
    """Whether anything is left to train."""
    return any(parameter.requires_grad for parameter in model.parameters())


def test_groups_hold_every_parameter_once(model: zoo.Model) -> None:
    """Each trainable parameter is in one group, with its part's rate; vectors do not decay."""
    rates = {"backbone": 1e-4, "attention": 1e-3, "head": 1e-2}
    groups = zoo.parameter_groups(model, learning_rates=rates, weight_decay=0.1)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    belongs = parts(model)
    seen = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(seen) == sorted(names)
    for group in groups:
        for parameter in group["params"]:
            assert group["lr"] == rates[belongs[names[id(parameter)]]]
            assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0)
    assert torch.optim.AdamW(groups)


def test_modules_name_what_must_not_decay() -> None:
    """What a component lists in `no_weight_decay` is exempt, as papers ask for."""

    class Scaled(nn.Module):
        def __init__(self, channels: int, *, ndim: int = 2) -> None:
            super().__init__()
            self.beta = nn.Parameter(torch.zeros(1, channels, *[1] * ndim))

        def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
            return x + self.beta

        def no_weight_decay(self) -> set[str]:
            return {"beta"}

    catalog = zoo.Catalog()
    catalog.register(
        zoo.Component(kind="attention", name="scaled", target=Scaled, family="channel")
    )
    model = zoo.compose("attn_cnn(widths=[8]) + scaled@last", num_classes=2, catalog=catalog)
    groups = zoo.parameter_groups(model, learning_rates=0.1, weight_decay=0.1)
    exempt = next(group for group in groups if group["name"] == "attention/no_decay")
    assert exempt["params"][0] is model.last.beta


def test_unknown_parts_are_refused(model: zoo.Model) -> None:
    """A misspelt part is an error with the near miss, in both functions."""
    with pytest.raises(zoo.InvalidValue, match=r"no part 'attentoin'\. Did you mean 'attention'"):
        zoo.freeze(model, except_="attentoin")
    with pytest.raises(zoo.InvalidValue, match=r"no part 'heads'\. Did you mean 'head'"):
        zoo.parameter_groups(model, learning_rates={"heads": 0.1})
    with pytest.raises(zoo.InvalidValue, match="none for 'backbone'"):
        zoo.parameter_groups(model, learning_rates={"head": 0.1})


def test_what_has_no_parts_is_refused() -> None:
    """A module of torch, say."""
    for verb in (zoo.freeze, lambda model: zoo.parameter_groups(model, learning_rates=0.1)):
        with pytest.raises(zoo.InvalidValue, match=r"This takes a model from .*; got Linear"):
            verb(nn.Linear(1, 1))

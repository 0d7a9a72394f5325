"""timm.create_model, once the door is open."""

from __future__ import annotations

import pytest
import timm
import torch
from timm.data import resolve_model_data_config

import zoo


@pytest.fixture(autouse=True)
def door() -> None:
    """Register the variants with timm."""
    import zoo_timm.door  # noqa: F401 - importing it is what is tested


def test_creates_a_variant_with_its_weights() -> None:
    """The model is ours, with the weights of the registry."""
    model = timm.create_model("attn_cnn_mnist", pretrained=True)
    ours = zoo.create("attn_cnn_mnist", pretrained=True)
    x = torch.randn(1, 1, 28, 28)
    assert torch.equal(model(x), ours(x))


def test_takes_timms_words() -> None:
    """`num_classes` and `features_only` mean what they mean in timm; the data config is found."""
    assert timm.create_model("attn_cnn_mnist", num_classes=3)(torch.zeros(1, 1, 28, 28)).shape == (
        1,
        3,
    )
    maps = timm.create_model("attn_cnn_mnist", features_only=True, out_indices=[1])
    assert [one.shape for one in maps(torch.zeros(1, 1, 28, 28))] == [(1, 64, 7, 7)]
    assert maps.feature_info.channels() == [64]
    assert maps.feature_info.reduction() == [4]
    # As timm's training script asks for every model.
    model = timm.create_model("attn_cnn_mnist", drop_rate=0.0, drop_path_rate=None)
    assert model.default_cfg["num_classes"] == 10
    config = resolve_model_data_config(timm.create_model("attn_cnn_mnist"))
    assert config["input_size"] == (1, 28, 28)
    assert config["mean"] == (0.1307,)


def test_refuses_what_would_be_another_model() -> None:
    """Other channels, and weights from elsewhere, are refused with what to do."""
    with pytest.raises(
        zoo.InvalidValue, match="takes 1 channels; in_chans=3 would be another model"
    ):
        timm.create_model("attn_cnn_mnist", in_chans=3)
    for option, value in {"drop_rate": 0.1, "global_pool": ""}.items():
        with pytest.raises(zoo.InvalidValue, match=f"leave {option}={value!r} out"):
            timm.create_model("attn_cnn_mnist", **{option: value})
    with pytest.raises(zoo.InvalidValue, match="leave pretrained_cfg_overlay out"):
        timm.create_model("attn_cnn_mnist", pretrained_cfg_overlay={"file": "x"})

"""Tests of the timm backbone: parity with timm, weights from files, and what is refused."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from timm.layers.drop import DropPath
from torch import nn
from zoo_timm.backbone import TimmBackbone

import zoo
from zoo import InvalidValue, UnknownName, WeightsError


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with random weights of a resnet18, saved from timm's own model."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    model = timm.create_model("resnet18")
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_()
    save_file(model.state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("architecture", "side"),
    [
        ("resnet18", 64),
        ("seresnet18", 64),
        ("resnet26t", 64),
        ("vgg11", 64),
        ("densenet121", 64),
        ("mobilenetv3_small_050", 64),
        ("convnext_atto", 64),
        ("efficientnet_b0", 64),
        ("regnety_002", 64),
        ("dla46_c", 64),
        ("mambaout_femto", 64),
        ("swin_tiny_patch4_window7_224", 224),
        ("mixer_s32_224", 224),
    ],
)
def test_backbone_native_head_and_classifier_give_the_logits_of_timm(
    architecture: str, side: int, tmp_path: Path
) -> None:
    """A timm model that was taken apart and put together computes what the whole one does."""
    torch.manual_seed(0)
    oracle = timm.create_model(architecture).eval()
    save_file(oracle.state_dict(), tmp_path / "model.safetensors")
    backbone = TimmBackbone(3, architecture=architecture)
    backbone.load_pretrained(str(tmp_path))
    head, classifier = backbone.native_head()
    x = torch.randn(2, 3, side, side)
    with torch.no_grad():
        features = backbone.eval()(x)
        logits = classifier(head.eval()(features))
        torch.testing.assert_close(logits, oracle(x), rtol=1e-5, atol=1e-5)
    assert features.shape[:2] == (2, backbone.num_features)


def test_no_weight_of_the_head_is_in_the_backbone() -> None:
    """What only the head of timm needs is no parameter of the backbone, and nothing is in both."""
    backbone = TimmBackbone(3, architecture="mobilenetv3_small_050")
    own = set(backbone.state_dict())
    head, classifier = backbone.native_head()
    whole = timm.create_model("mobilenetv3_small_050").state_dict()
    names = {name.removeprefix("net.") for name in own}
    head_names = {name.removeprefix("net.") for name in head.state_dict()}
    assert names.isdisjoint(head_names)
    assert names | head_names | {f"classifier.{name}" for name in classifier.state_dict()} == set(
        whole
    )
    assert {id(p) for p in backbone.parameters()}.isdisjoint(id(p) for p in head.parameters())


def test_copies_do_without_the_head_that_nobody_took() -> None:
    """A deep copy computes the same and carries no second head."""
    backbone = TimmBackbone(3, architecture="resnet18").eval()
    twin = copy.deepcopy(backbone)
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(twin(x), backbone(x))
    with pytest.raises(InvalidValue, match="belongs to a copy"):
        twin.native_head()


def test_the_native_head_is_handed_out_once() -> None:
    """Two models must not share the parameters of one head."""
    backbone = TimmBackbone(3, architecture="resnet18")
    backbone.native_head()
    with pytest.raises(InvalidValue, match="handed out already"):
        backbone.native_head()


def test_the_native_head_refuses_a_mask() -> None:
    """Pooling over masked positions would be silently wrong."""
    head, _ = TimmBackbone(3, architecture="resnet18").native_head()
    with pytest.raises(InvalidValue, match="takes no mask"):
        head(torch.zeros(1, 512, 2, 2), torch.ones(1, 2, 2, dtype=torch.bool))


@pytest.mark.parametrize(
    ("architecture", "maps"),
    [
        ("resnet18", [(64, 16), (128, 8), (256, 4), (512, 2)]),
        ("mambaout_femto", [(48, 16), (96, 8), (192, 4), (288, 2)]),
    ],
)
def test_forward_stages_gives_one_map_a_stage(
    architecture: str, maps: list[tuple[int, int]]
) -> None:
    """The stem is no stage, and every map has its channels second, whatever timm computes in."""
    backbone = TimmBackbone(3, architecture=architecture).eval()
    with torch.no_grad():
        found = backbone.forward_stages(torch.zeros(1, 3, 64, 64))
    assert [tuple(y.shape) for y in found] == [(1, c, side, side) for c, side in maps]


def test_threads_that_share_a_backbone_get_their_own_maps() -> None:
    """Each of its own input, whoever else runs it at the same time."""
    backbone = TimmBackbone(3, architecture="resnet10t").eval().requires_grad_(False)
    images = [torch.full((1, 3, 64, 64), float(number)) for number in range(4)]
    expected = [backbone.forward_stages(image) for image in images] * 10
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(backbone.forward_stages, images * 10))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("length", [0, 8])
def test_weights_of_a_file_lie_as_torch_lays_them(saved: Path, tmp_path: Path, length: int) -> None:
    """Wherever they were in the file: products add in another order where memory is not aligned."""
    path = tmp_path / "resnet18.safetensors"
    save_file(load_file(saved), path, {"comment": "-" * length})
    backbone = TimmBackbone(3, architecture="resnet18")
    backbone.load_pretrained(str(path))
    expected = load_file(saved)
    state = backbone.state_dict()
    assert all(torch.equal(state[name], expected[name.removeprefix("net.")]) for name in state)
    assert {tensor.data_ptr() % 64 for tensor in state.values()} == {0}


def test_the_first_convolution_is_adapted_to_other_channels_as_timm_does(saved: Path) -> None:
    """A file for colour images serves a model for grey ones."""
    backbone = TimmBackbone(1, architecture="resnet18")
    backbone.load_pretrained(str(saved))
    oracle = timm.create_model(
        "resnet18", in_chans=1, pretrained=True, pretrained_cfg_overlay={"file": str(saved)}
    )
    assert torch.equal(backbone.net.conv1.weight, oracle.conv1.weight)


def test_a_file_with_other_classes_gives_a_native_head_with_those(tmp_path: Path) -> None:
    """Weights that were fine-tuned for 7 classes keep their classifier."""
    tuned = timm.create_model("resnet18", num_classes=7)
    save_file(tuned.state_dict(), tmp_path / "model.safetensors")
    backbone = TimmBackbone(3, architecture="resnet18")
    backbone.load_pretrained(str(tmp_path / "model.safetensors"))
    _, classifier = backbone.native_head()
    assert torch.equal(classifier.weight, tuned.fc.weight)


def test_a_file_with_other_classes_serves_a_model_for_grey_images(tmp_path: Path) -> None:
    """Both are adapted at once."""
    tuned = timm.create_model("resnet18", num_classes=7)
    save_file(tuned.state_dict(), tmp_path / "model.safetensors")
    backbone = TimmBackbone(1, architecture="resnet18")
    backbone.load_pretrained(str(tmp_path / "model.safetensors"))
    _, classifier = backbone.native_head()
    assert torch.equal(classifier.weight, tuned.fc.weight)
    assert torch.equal(backbone.net.layer1[0].conv1.weight, tuned.layer1[0].conv1.weight)


def test_a_file_does_not_say_how_large_a_classifier_is(tmp_path: Path) -> None:
    """One of no bytes could say millions of classes."""
    save_file({"fc.weight": torch.zeros(10**12, 0)}, tmp_path / "model.safetensors")
    backbone = TimmBackbone(3, architecture="resnet18")
    with pytest.raises(WeightsError, match="does not hold timm/resnet18"):
        backbone.load_pretrained(str(tmp_path / "model.safetensors"))


def test_a_head_that_takes_a_class_token_is_not_handed_out() -> None:
    """A map has no class token: pooling it would not be what timm computes."""
    with pytest.raises(InvalidValue, match="takes a class token, not a map"):
        TimmBackbone(3, architecture="vit_tiny_patch16_224").native_head()


@pytest.mark.parametrize(
    ("architecture", "side"),
    [("vit_tiny_patch16_224", 64), ("swin_tiny_patch4_window7_224", 128), ("mixer_s32_224", 64)],
)
def test_an_architecture_of_one_size_is_made_for_another(architecture: str, side: int) -> None:
    """Its slots are found at that size, and its weights are those of timm's own."""
    head = "map" if architecture.startswith("vit") else "avg"
    model = zoo.compose(f"timm/{architecture}(img_size={side}) + {head}", num_classes=3).eval()
    assert model.spec.input.size == (side, side)  # type: ignore[union-attr]  # of an image
    with torch.no_grad():
        assert model(torch.zeros(1, 3, side, side)).shape == (1, 3)
    theirs = timm.create_model(architecture, img_size=side).state_dict()
    ours = model.backbone.net.state_dict()  # type: ignore[union-attr]  # of a timm backbone
    assert {name: tensor.shape for name, tensor in ours.items()}.items() <= {
        name: tensor.shape for name, tensor in theirs.items()
    }.items()


def test_gradient_checkpointing_changes_no_output() -> None:
    """It is timm's own switch, and gradients are those without it."""
    backbone = TimmBackbone(3, architecture="resnet18").eval()
    x = torch.randn(1, 3, 32, 32)
    backbone(x).sum().backward()
    expected = [parameter.grad.clone() for parameter in backbone.parameters()]
    backbone.zero_grad()
    backbone.set_grad_checkpointing()
    assert backbone.net.grad_checkpointing
    backbone(x).sum().backward()
    for parameter, gradient in zip(backbone.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_gradient_checkpointing_where_timm_has_none_is_refused() -> None:
    """SelecSLS would silently keep all activations otherwise."""
    with pytest.raises(InvalidValue, match=r"timm/selecsls42 has no gradient checkpointing"):
        TimmBackbone(3, architecture="selecsls42").set_grad_checkpointing()


def test_an_unknown_architecture_is_answered_with_near_names() -> None:
    """A misspelt architecture costs one look at the message."""
    with pytest.raises(
        UnknownName, match=r"no architecture 'resnet51'\. Did you mean .*'resnet50'"
    ):
        TimmBackbone(3, architecture="resnet51")


def test_an_unknown_tag_is_answered_with_near_tags() -> None:
    """So does a misspelt tag."""
    with pytest.raises(UnknownName, match=r"no pretrained tag 'a1_in1'\. Did you mean 'a1_in1k'"):
        TimmBackbone(3, architecture="resnet50.a1_in1")


def test_a_tag_that_is_like_none_is_answered_with_those_there_are() -> None:
    """Where no name is near, the known ones are listed."""
    with pytest.raises(UnknownName, match=r"no pretrained tag 'x'\. Known: 'untrained'"):
        TimmBackbone(3, architecture="densenet264d.x")


def test_a_tag_of_an_architecture_without_tags_is_refused() -> None:
    """The message does not offer what there is not."""
    with pytest.raises(UnknownName, match=r"no pretrained tag 'x'\. It has no tags"):
        TimmBackbone(3, architecture="nf_resnet26.x")


def test_an_option_that_the_architecture_lacks_is_refused() -> None:
    """VGG has no dilated form."""
    with pytest.raises(
        InvalidValue, match="timm/vgg11 cannot be built with in_channels=3, output_stride=16"
    ):
        TimmBackbone(3, architecture="vgg11", output_stride=16)


def test_options_reach_timm() -> None:
    """An output stride of 8 gives maps four times as wide as 32."""
    backbone = TimmBackbone(3, architecture="resnet18", output_stride=8, drop_path_rate=0.1).eval()
    with torch.no_grad():
        assert backbone(torch.zeros(1, 3, 64, 64)).shape == (1, 512, 8, 8)
    assert any(isinstance(module, DropPath) for module in backbone.modules())


def test_pretrained_where_timm_publishes_none_is_refused() -> None:
    """No weights is said so, not random ones given."""
    with pytest.raises(WeightsError, match="timm publishes no weights for timm/densenet264d"):
        TimmBackbone(3, architecture="densenet264d").load_pretrained(True)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The message names the path."""
    with pytest.raises(WeightsError, match=r"there is no file .*none\.safetensors"):
        TimmBackbone(3, architecture="resnet18").load_pretrained(str(tmp_path / "none.safetensors"))


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    """It is told by its content, whatever its name says."""
    torch.save(nn.Linear(1, 1).state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="is a pickle"):
        TimmBackbone(3, architecture="resnet18").load_pretrained(str(tmp_path))


def test_a_truncated_file_is_refused(saved: Path, tmp_path: Path) -> None:
    """A broken download is not loaded in part."""
    (tmp_path / "model.safetensors").write_bytes(saved.read_bytes()[:1_000_000])
    with pytest.raises(WeightsError, match="no whole safetensors file"):
        TimmBackbone(3, architecture="resnet18").load_pretrained(str(tmp_path))


def test_offline_nobody_is_asked_for_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, saved: Path, no_network: None
) -> None:
    """ZOO_OFFLINE holds for the client of the hub, too; what that has cached is taken."""
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(zoo.Offline, match=r"timm/resnet18 are not cached, and ZOO_OFFLINE forbids"):
        zoo.create("timm/resnet18", pretrained=True)
    repository = timm.get_pretrained_cfg("resnet18").hf_hub_id.replace("/", "--")
    cached = tmp_path / f"models--{repository}"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("0" * 40)
    (cached / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (cached / "snapshots" / ("0" * 40) / "model.safetensors").symlink_to(saved)
    assert zoo.create("timm/resnet18", pretrained=True).ref is None


def test_weights_of_another_model_are_refused_and_nothing_is_loaded(saved: Path) -> None:
    """The message says what differs."""
    backbone = TimmBackbone(3, architecture="resnet34")
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    with pytest.raises(WeightsError, match="does not hold timm/resnet34: 96 tensors are missing"):
        backbone.load_pretrained(str(saved))
    after = backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_default_input_is_that_of_the_weights() -> None:
    """Size, normalisation, interpolation and crop are those that timm records for the tag."""
    assert TimmBackbone.default_input(architecture="resnet50.tv_in1k") == {
        "kind": "image",
        "channels": 3,
        "size": [224, 224],
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "interpolation": "bilinear",
        "crop": 0.875,
    }

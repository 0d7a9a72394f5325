"""AudioCNN: shapes, masks of samples, export, and its sample rate."""

from __future__ import annotations

import pytest
import torch
from zoo_cnn.audio_cnn import AudioCNN

import zoo
from zoo import InvalidSpec, InvalidValue

SMALL = {"name": "audio_cnn", "widths": [4, 8], "depths": 1, "num_mels": 16}


@pytest.mark.parametrize(
    ("ndim", "shapes"),
    [(2, [(2, 4, 16, 13), (2, 8, 8, 7)]), (1, [(2, 4, 13), (2, 8, 7)])],
)
def test_maps_over_mel_and_time_or_time(ndim: int, shapes: list[tuple[int, ...]]) -> None:
    """2000 samples at a hop of 160 are 13 frames; each later stage halves the map, rounding up."""
    backbone = AudioCNN(2, ndim=ndim, widths=(4, 8), depths=1, num_mels=16)
    maps = backbone.forward_stages(torch.randn(2, 2, 2000))
    assert [tuple(y.shape) for y in maps] == shapes
    assert backbone.num_features == 8


@pytest.mark.parametrize("ndim", [1, 2])
def test_padding_changes_nothing(ndim: int) -> None:
    """A clip is classified alone as it is in a padded batch, whatever the padding holds."""
    torch.manual_seed(0)
    attention = [
        {"name": "cbam", "slot": "branch"},
        {"name": "mhsa", "slot": "last", "num_heads": 2},
    ]
    model = zoo.compose({**SMALL, "ndim": ndim}, attention, "gem", num_classes=3).eval()
    clips = [torch.randn(1, 1, length) for length in (3000, 1761)]
    alone = torch.cat([model(clip) for clip in clips])
    padded = torch.stack(
        [torch.nn.functional.pad(c[0], (0, 3000 - c.shape[-1]), value=9.0) for c in clips]
    )
    mask = torch.arange(3000) < torch.tensor([[3000], [1761]])
    torch.testing.assert_close(model(padded, mask), alone, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(model(padded), alone, atol=1e-2)


@pytest.mark.parametrize("samples", [1, 160, 161, 399])
def test_takes_clips_of_any_length(samples: int) -> None:
    """A single sample is a clip, too."""
    model = zoo.compose(SMALL, num_classes=2).eval()
    assert bool(torch.isfinite(model(torch.randn(1, 1, samples))).all())


def test_every_slot_can_be_filled() -> None:
    """The residual network's slots are those of the backbone."""
    attention = [{"name": "se", "slot": slot} for slot in ("conv", "branch", "block", "stage")]
    model = zoo.compose(SMALL, attention, num_classes=2)
    assert len(model.attention_paths) == 4 * 2
    assert model(torch.randn(2, 1, 2000)).shape == (2, 2)


@pytest.mark.parametrize("ndim", [1, 2])
def test_exports_for_any_length(ndim: int) -> None:
    """Exported, it takes other batches and lengths than the example's, and gives the same map."""
    backbone = AudioCNN(1, ndim=ndim, widths=(4, 8), depths=1, num_mels=16).eval()
    sizes = {0: torch.export.Dim("N", min=2, max=64), 2: torch.export.Dim("T", min=1000, max=10**6)}
    exported = torch.export.export(
        backbone, (torch.randn(2, 1, 4000),), dynamic_shapes={"x": sizes}
    )
    x = torch.randn(3, 1, 7777)
    torch.testing.assert_close(exported.module()(x), backbone(x))


def test_asks_for_its_sample_rate() -> None:
    """Without an input block it gets sound of one channel at the rate it is built for."""
    model = zoo.compose({**SMALL, "sample_rate": 8000}, num_classes=2)
    assert model.spec.input.kind == "audio"
    assert model.spec.input.sample_rate == 8000


def test_refuses_an_input_at_another_rate() -> None:
    """An input block at another rate than the spectrogram's is an error that names both."""
    with pytest.raises(InvalidSpec, match=r"16000 Hz.*audio_cnn.*8000 Hz"):
        zoo.compose(
            {**SMALL, "sample_rate": 8000},
            input={"kind": "audio", "sample_rate": 16_000},
            num_classes=2,
        )


def test_refuses_images_and_bad_options() -> None:
    """Another kind of input and options out of range are answered with what is right."""
    with pytest.raises(InvalidSpec, match="which takes audio"):
        zoo.compose(SMALL, input={"kind": "image", "channels": 1}, num_classes=2)
    with pytest.raises(InvalidValue, match="ndim is 3; give 1 for time"):
        AudioCNN(1, ndim=3)
    with pytest.raises(InvalidValue, match="num_mels is 0"):
        AudioCNN(1, ndim=1, num_mels=0)

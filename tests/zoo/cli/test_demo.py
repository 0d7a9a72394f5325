"""`zoo demo`."""

from __future__ import annotations

import pytest
from PIL import Image

import zoo
from zoo.weights import to_bytes


@pytest.fixture
def model():
    """An untrained model of the shape of attn_cnn_mnist."""
    return zoo.compose(
        {"name": "plain_cnn", "widths": [4, 8]},
        {"name": "mhsa", "slot": "last"},
        input={"kind": "image", "channels": 1, "size": [28, 28]},
        labels=[str(digit) for digit in range(10)],
    )


@pytest.fixture
def registry(model, make_registry):
    """A registry whose attn_cnn_mnist is that model."""
    entry = {"spec": model.spec.to_data(), "blob": to_bytes(model, model.plan)}
    return make_registry(attn_cnn_mnist={"1.0.0": entry})


def test_the_demo_runs_from_name_to_picture(command, registry, tmp_path):
    """It lists the variants, classifies twenty digits, and leaves one picture."""
    picture = tmp_path / "demo.png"

    done = command("demo", "--output", str(picture), registry=registry)

    assert (done.code, done.err) == (0, "")
    assert "The variants there are:" in done.out
    assert "attn_cnn_mnist@1.0.0 on digits that were drawn just now:" in done.out
    assert sum(line.split()[1:2] in (["font"], ["strokes"]) for line in done.out.splitlines()) == 20
    assert "of 20 are right." in done.out
    with Image.open(picture) as image:
        assert image.format == "PNG"
        assert image.width > 10 * 28 * 6


def test_the_demo_without_a_picture(command, registry, tmp_path, monkeypatch):
    """`--no-picture` writes no file."""
    monkeypatch.chdir(tmp_path)

    done = command("demo", "--no-picture", registry=registry)

    assert done.code == 0
    assert not list(tmp_path.glob("*.png"))


def test_a_model_of_ones_own_is_taken(command, make_registry, tmp_path):
    """`--model` takes a file, also of a model whose attention weighs no positions."""
    model = zoo.compose({"name": "plain_cnn", "widths": [4]}, num_classes=10)
    zoo.save(model, tmp_path / "mine.safetensors")
    words = ["--model", str(tmp_path / "mine.safetensors"), "--output", str(tmp_path / "mine.png")]

    done = command("demo", *words, registry=make_registry())

    assert (done.code, done.err) == (0, "")
    assert "mine.safetensors on digits" in done.out
    assert (tmp_path / "mine.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--output", "nowhere/demo.png"],
            "nowhere/demo.png cannot be written: No such file or directory",
        ),
        (["--output", "demo.jpg"], "--output is 'demo.jpg'; the picture is a PNG file"),
        (["--model", "attn_cnn_mnst"], "Did you mean 'attn_cnn_mnist'?"),
    ],
)
def test_what_cannot_be_shown_is_an_error(command, registry, tmp_path, monkeypatch, words, message):
    """A folder that is not there, another format, or an unknown model: one message, nothing half-written."""
    monkeypatch.chdir(tmp_path)

    done = command("demo", *words, registry=registry)

    assert done.code == 2
    assert message in done.err
    assert not list(tmp_path.glob("*.png*"))


def test_a_model_of_other_things_is_refused(command, tmp_path):
    """A model of cats and dogs does not read digits."""
    model = zoo.compose("attn_cnn(widths=[4], depths=1)", labels=["cat", "dog"])
    path = zoo.save(model, tmp_path / "pets.safetensors")

    done = command("demo", "--model", str(path), "--output", str(tmp_path / "demo.png"))

    assert done.code == 2
    assert "does not tell the digits 0 to 9 apart" in done.err
    assert not (tmp_path / "demo.png").exists()

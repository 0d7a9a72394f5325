"""`zoo predict`."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo.weights import to_bytes


@pytest.fixture
def model():
    """A small untrained model of two classes."""
    spec = {"name": "plain_cnn", "widths": [4]}
    return zoo.compose(
        spec, input={"kind": "image", "channels": 3, "size": [8, 8]}, labels=["cat", "dog\x07"]
    )


@pytest.fixture
def file(model, tmp_path):
    """The model as a file."""
    return str(zoo.save(model, tmp_path / "mine.safetensors"))


@pytest.fixture
def photo(tmp_path):
    """An image file."""
    pixels = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


def test_each_image_gets_its_classes(command, file, photo):
    """Every image is answered with its likeliest classes, labels escaped."""
    done = command("predict", file, photo, photo)
    lines = done.out.splitlines()

    assert (done.code, done.err) == (0, "")
    assert lines[:3] == lines[3:]
    assert lines[0] == photo
    assert {line.split()[0] for line in lines[1:3]} == {"cat", "dog\\x07"}
    assert all(line.endswith(" %") for line in lines[1:3])


def test_json_is_what_the_api_says(command, file, photo):
    """`--json` gives the numbers of `zoo.predict`, at most `--top` of them."""
    done = command("predict", file, photo, "--json", "--top", "1")
    best = zoo.predict(zoo.load(file), photo, top=1)[0]

    assert json.loads(done.out) == [{"sample": photo, "predictions": [best._asdict()]}]


def test_a_ref_is_taken_with_its_weights(command, model, make_registry, photo):
    """A ref is created with the weights that were published, whatever lies in the folder."""
    spec = model.spec.to_data()
    registry = make_registry(mine={"1.0.0": {"spec": spec, "blob": to_bytes(model, model.plan)}})

    done = command("predict", "mine", photo, "--json", registry=registry)

    best = zoo.predict(model.eval(), photo, top=1)[0]
    assert json.loads(done.out)[0]["predictions"][0] == best._asdict()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "There is no file"),
        (b"no image", "is no image file that can be read"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "photo.png' "),
    ],
)
def test_a_bad_image_is_an_error_and_the_others_are_answered(
    command, file, photo, tmp_path, content, message
):
    """It has a line among the errors, or its place in the data; the exit code says that not all went well."""
    bad = tmp_path / "bad" / "photo.png"
    if content is not None:
        bad.parent.mkdir()
        bad.write_bytes(content)

    whole = command("predict", file, photo, photo).out
    done = command("predict", file, photo, str(bad), photo)

    assert (done.code, done.out) == (2, whole)
    assert message in done.err
    assert (done.err.count("\n"), done.err.count("zoo: error: ")) == (1, 1)

    done = command("predict", file, photo, str(bad), photo, "--json")

    first, second, third = json.loads(done.out)
    assert first == third == json.loads(command("predict", file, photo, "--json").out)[0]
    assert second["sample"] == str(bad)
    assert message in second["error"]
    assert "predictions" not in second
    assert done.code == 2


def test_every_bad_sample_is_named(command, file, photo, tmp_path):
    """Also where only its content is wrong, of which the message does not know the file."""
    names = [str(tmp_path / f"{name}.tif") for name in "ab"]
    for name in names:
        Image.fromarray(np.zeros((4, 4), np.float32)).save(name)

    done = command("predict", file, *names, photo)

    assert done.code == 2
    assert done.out.startswith(photo)
    lines = done.err.splitlines()
    assert [line.partition(": The image has mode 'F'")[0] for line in lines] == [
        f"zoo: error: {name}" for name in names
    ]


def test_what_is_wrong_with_the_model_is_said_once(command, photo, tmp_path):
    """However many samples it was to classify."""
    model = zoo.compose({"name": "plain_cnn", "widths": [4]})
    file = str(zoo.save(model, tmp_path / "features.safetensors"))

    done = command("predict", file, photo, photo)

    assert (done.code, done.out) == (2, "")
    assert done.err.count("gives features, not classes") == 1


def test_bad_files_are_errors(command, file, photo, tmp_path):
    """A pickle, a file that is cut off, of another model, of nobody, or not there: each is one clear message."""
    whole = (tmp_path / "mine.safetensors").read_bytes()
    other = zoo.compose({"name": "plain_cnn", "widths": [8]}, num_classes=2)
    faults = {
        "pickle": (pickle.dumps([1]), "is a pickle"),
        "zip": (b"PK\x03\x04" + b"\0" * 30, "is a pickle"),
        "cut": (whole[:-4], "is cut off"),
        "header": (whole[:40], "is cut off"),
        "empty": (b"", "is no safetensors file"),
        "other": (
            _with_spec_of(whole, to_bytes(other, other.plan)),
            "holds another model than its spec says",
        ),
    }
    for name, (content, message) in faults.items():
        bad = tmp_path / f"{name}.safetensors"
        bad.write_bytes(content)
        done = command("predict", str(bad), photo)
        assert (done.code, done.out) == (2, ""), name
        assert message in done.err
        assert done.err.count("\n") == 1

    done = command("predict", str(tmp_path / "nobody.safetensors"), photo)
    assert (done.code, done.err.count("cannot be read")) == (2, 1)


def _with_spec_of(content, other):
    """The tensors of one file under the header line of metadata of another."""
    first, second = (
        json.loads(one[8 : 8 + int.from_bytes(one[:8], "little")]) for one in (content, other)
    )
    header = json.dumps({**first, "__metadata__": second["__metadata__"]}).encode()
    return (
        len(header).to_bytes(8, "little")
        + header
        + content[8 + int.from_bytes(content[:8], "little") :]
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing_like_this", "x.png"], "No variant is called 'nothing_like_this'."),
        (["bare", "x.png"], "bare@1.0.0 has no weights."),
        (["bare", "x.png", "--top", "0"], "--top is 0; show at least 1 class."),
        (["bare", "x.png", "--top", "few"], "invalid int value: 'few'"),
        (["bare"], "the following arguments are required: SAMPLE"),
    ],
)
def test_what_cannot_be_predicted_is_an_error(command, make_registry, words, message):
    """An unknown ref, one without weights, or a wrong number is one clear message."""
    done = command("predict", *words, registry=make_registry(bare={"1.0.0": {}}))

    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_classifies_texts(command, tmp_path):
    """A model of texts takes them from the command line."""
    words = {"kind": "text", "vocabulary": ["good", "bad"]}
    model = zoo.compose("text_cnn", head="max", input=words, labels=["up", "down"])
    zoo.save(model, tmp_path / "text.safetensors")

    done = command("predict", str(tmp_path / "text.safetensors"), "so good", "so bad")

    assert done.code == 0
    assert [line for line in done.out.splitlines() if line.startswith("so")] == [
        "so good",
        "so bad",
    ]


def test_a_text_that_names_a_file_is_a_text_and_said_to_be(command, tmp_path):
    """It may have been meant as the file; of other texts nothing is said."""
    words = {"kind": "text", "vocabulary": ["good", "bad"]}
    model = zoo.compose("text_cnn", head="max", input=words, labels=["up", "down"])
    file = str(zoo.save(model, tmp_path / "text.safetensors"))
    (tmp_path / "my text").write_text("so good")

    done = command("predict", file, str(tmp_path / "my text"), "so bad")

    assert done.code == 0
    assert done.out.splitlines()[0] == str(tmp_path / "my text")
    assert " ".join(done.err.split()).endswith(
        f"my text' is classified as a text. For that of the file: \"$(cat '{tmp_path}/my text')\""
    )
    assert command("predict", file, "so good").err == ""


def test_a_model_that_takes_no_such_sample_is_refused(command, tmp_path, photo):
    """A model of sequences takes arrays, which a command line has not."""
    model = zoo.compose(
        {"name": "plain_cnn", "ndim": 1}, input={"kind": "sequence", "channels": 2}, num_classes=2
    )
    zoo.save(model, tmp_path / "sequence.safetensors")

    done = command("predict", str(tmp_path / "sequence.safetensors"), photo)

    assert done.code == 2
    assert "A sequence is an array of numbers; got str" in done.err

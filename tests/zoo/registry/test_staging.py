"""Publishing to where zoo cannot write: the files, and the commands that bring them there."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import zoo
from zoo.registry.staging import commands
from zoo.serving import MirrorServer

pytestmark = pytest.mark.usefixtures("examined_here")


@pytest.fixture
def root(make_registry: Any) -> Path:
    """The folder of a registry that a web server serves."""
    root: Path = make_registry("served", their_net={"1.0.0": {"blob": b"one"}}).root
    return root


@pytest.fixture
def url(root: Path) -> Iterator[str]:
    """Its address."""
    with MirrorServer(root, "127.0.0.1", 0, log=lambda line: None) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


def upload(steps: list[str], root: Path) -> list[str]:
    """Do what the commands say, with a folder in place of the host, and return what came in which order."""
    order = []
    for step in steps:
        program, *words = shlex.split(step)
        source, target = Path(words[-2]), words[-1].partition(":/FOLDER/OF/THE/REGISTRY/")[2]
        assert program == "rsync"
        if source.is_dir():
            assert "--ignore-existing" in words
            shutil.copytree(source, root / target, dirs_exist_ok=True)
        else:
            shutil.copy(source, root / target)
        order.append(target)
    return order


def test_what_is_laid_out_makes_the_next_index(
    file: Path, root: Path, url: str, tmp_path: Path
) -> None:
    """Brought there in order, the version is there, beside those that were; nothing was written before."""
    stage = tmp_path / "to upload"
    ref = zoo.publish(file, registry=url, name="our_cnn", version="1.0.0", stage=stage)
    assert zoo.Registry(root).index.names() == ["their_net"]
    steps = commands(url, stage)
    assert upload(steps, root) == ["blobs/", "registry.yaml"]
    registry = zoo.Registry(root)
    assert (registry.index.names(), registry.serial) == (["our_cnn", "their_net"], 2)
    assert zoo.create("our_cnn", pretrained=True, registries=[registry]).ref == ref


def test_a_withdrawal_is_laid_out_as_well(root: Path, url: str, tmp_path: Path) -> None:
    """It takes one file."""
    stage = tmp_path / "stage"
    zoo.yank("their_net@1.0.0", registry=url, reason="wrong split", stage=stage)
    assert upload(commands(url, stage), root) == ["registry.yaml"]
    with pytest.warns(UserWarning, match="wrong split"):
        zoo.describe("their_net@1.0.0", registries=[zoo.Registry(root)])


def test_a_new_registry_is_laid_out_too(file: Path, root: Path, url: str, tmp_path: Path) -> None:
    """Where there is no index yet, it begins with this version."""
    (root / "registry.yaml").unlink()
    zoo.publish(file, registry=url, name="our_cnn", version="1.0.0", stage=tmp_path / "stage")
    assert zoo.Registry(tmp_path / "stage").index.names() == ["our_cnn"]


def test_without_a_folder_it_says_what_to_do(file: Path, url: str) -> None:
    """A web host takes no files."""
    for act in (
        lambda: zoo.publish(file, registry=url, name="our_cnn", version="1.0.0"),
        lambda: zoo.yank("their_net@1.0.0", registry=url, reason="x"),
    ):
        with pytest.raises(zoo.InvalidValue, match=r"takes no files from zoo\. .*--stage DIR"):
            act()


def test_a_folder_that_holds_something_is_refused(file: Path, url: str, tmp_path: Path) -> None:
    """What is laid out is never mixed with something else; an empty folder will do."""
    stage = tmp_path / "stage"
    stage.mkdir()
    zoo.yank("their_net@1.0.0", registry=url, reason="x", stage=stage)
    for taken in (stage, file):
        with pytest.raises(zoo.InvalidValue, match="goes into a folder of its own"):
            zoo.yank("their_net@1.0.0", registry=url, reason="y", stage=taken)


def test_a_refusal_lays_nothing_out(file: Path, url: str, tmp_path: Path) -> None:
    """A version that exists, a ref that does not, a file that is none."""
    stage = tmp_path / "stage"
    (tmp_path / "bad.safetensors").write_bytes(b"\x80pickle" * 9)

    def publish_as(name: str, path: Path) -> zoo.ExactRef:
        return zoo.publish(path, registry=url, name=name, version="1.0.0", stage=stage)

    for act, error, message in (
        (lambda: publish_as("their_net", file), zoo.RegistryError, "never changes"),
        (lambda: publish_as("our_cnn", tmp_path / "bad.safetensors"), zoo.WeightsError, "pickle"),
        (
            lambda: zoo.yank("x@1.0.0", registry=url, reason="x", stage=stage),
            zoo.UnknownName,
            "'x'",
        ),
    ):
        with pytest.raises(error, match=message):
            act()
    assert not stage.exists()


def test_the_commands_for_a_web_host(tmp_path: Path) -> None:
    """The text as it is shown: the blob first, names quoted for the shell."""
    stage = tmp_path / "a b"
    (stage / "blobs").mkdir(parents=True)
    assert commands("https://models.example.org/zoo", stage) == [
        f"rsync -rt --ignore-existing '{stage}/blobs/' models.example.org:/FOLDER/OF/THE/REGISTRY/blobs/",
        f"rsync -t '{stage}/registry.yaml' models.example.org:/FOLDER/OF/THE/REGISTRY/registry.yaml",
    ]


def test_the_commands_for_a_folder_and_a_bucket(tmp_path: Path) -> None:
    """Both could be written to; who wants to look before can still lay the files out."""
    (tmp_path / "blobs").mkdir()
    assert commands("/mnt/our zoo", tmp_path) == [
        f"rsync -rt --ignore-existing {tmp_path}/blobs/ '/mnt/our zoo/blobs/'",
        f"rsync -t {tmp_path}/registry.yaml '/mnt/our zoo/registry.yaml'",
    ]
    assert commands("s3://bucket/zoo", tmp_path) == [
        f"aws s3 cp --recursive {tmp_path}/blobs s3://bucket/zoo/blobs",
        f"aws s3 cp {tmp_path}/registry.yaml s3://bucket/zoo/registry.yaml",
    ]


def test_elsewhere_it_is_said_in_words(tmp_path: Path) -> None:
    """As a comment of the shell, where zoo knows no command."""
    assert commands("gs://bucket/zoo", tmp_path) == [
        f"# copy {tmp_path}/registry.yaml to gs://bucket/zoo/registry.yaml"
    ]


def test_the_commands_for_the_hub(tmp_path: Path) -> None:
    """The hub's own command, for the branch that is meant."""
    (tmp_path / "blobs").mkdir()
    assert commands("hf://org/models@v2", tmp_path) == [
        f"hf upload org/models {tmp_path}/blobs blobs --revision v2",
        f"hf upload org/models {tmp_path}/registry.yaml registry.yaml --revision v2",
    ]
    assert commands("hf://org/models", tmp_path)[1].endswith("registry.yaml registry.yaml")

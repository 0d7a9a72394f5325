"""What a word on the command line means."""

from __future__ import annotations

from pathlib import Path

import pytest

import zoo
from zoo import InvalidValue
from zoo.cli.opening import file_of, open_model, provenance


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`runs/mine`, a run in the current folder."""
    monkeypatch.chdir(tmp_path)
    folder = Path("runs/mine")
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    model = zoo.compose({"name": "plain_cnn", "widths": [4]}, num_classes=2)
    zoo.save(model, folder / "best.safetensors", provenance={"data": "ours"})
    return folder


@pytest.mark.parametrize("what", ["runs/mine", "runs/mine/", "runs/mine/best.safetensors"])
def test_a_run_stands_for_its_best_model(run: Path, what: str) -> None:
    """It is opened, and asked where it came from, as the file itself is."""
    assert file_of(what) == run / "best.safetensors"
    assert open_model(what).num_classes == 2
    assert provenance(what) == {"data": "ours"}


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    "what", ["runs", "runs/", "timm/resnet18", "small@1.0.0", "a/\0", "a/" * 5000]
)
def test_what_is_no_file_is_a_ref(what: str) -> None:
    """A folder without a run, too; a text that no path can be is no error yet."""
    assert file_of(what) is None


def test_a_yaml_file_is_to_be_trained(run: Path) -> None:
    """The message says how; one that is not there may be meant as a ref."""
    spec = run.parent / "mine.yaml"
    assert file_of(str(spec)) is None
    spec.write_text("spec: plain_cnn")
    with pytest.raises(InvalidValue, match=r"holds no model; `zoo train runs/mine\.yaml --data"):
        file_of(str(spec))

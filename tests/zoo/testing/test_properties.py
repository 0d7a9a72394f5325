"""Each property catches what breaks it, and nothing that does not; sound modules have all of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from zoo import Component
from zoo.testing.checking import resolve
from zoo.testing.examination import Examination
from zoo.testing.outcomes import Failed, Passed, Skipped
from zoo.testing.properties import NAMES, PROPERTIES, SLOW

_path = Path(__file__).with_name("broken.py")
_spec = importlib.util.spec_from_file_location("kit_broken", _path)
broken = importlib.util.module_from_spec(_spec)
sys.modules["kit_broken"] = broken
_spec.loader.exec_module(broken)

BROKEN = [
    ("built", broken.CannotBeBuilt),
    ("keyword_options", broken.PositionalOption),
    ("default_options", broken.RefusesItsDefault),
    ("misspelt_options", broken.TakesAnything),
    ("reserved_options", broken.ReservedOption),
    ("shape", broken.Summary),
    ("shape", broken.HeadOfAnotherWidth),
    ("classifier", broken.ScoresWithoutClasses),
    ("dtype", broken.AlwaysFloat32),
    ("autocast", broken.LosesDtypeUnderAutocast),
    ("device", broken.StaysOnCpu),
    ("sizes", broken.SizeBakedIn),
    ("one_position", broken.NanOnOnePosition),
    ("batch_of_one", broken.NeedsABatch),
    ("channels", broken.NeedsManyChannels),
    ("channels_last", broken.NeedsContiguous),
    ("channels_last", broken.ParameterOfFiveAxes),
    ("input_unchanged", broken.WritesOnItsInput),
    ("deterministic", broken.DropsInEval),
    ("no_grad", broken.OtherRoadWithoutGradients),
    ("batch_independence", broken.SoftmaxOverTheBatch),
    ("batch_independence", broken.SeesItsNeighbours),
    ("batch_independence", broken.DividesByTheBatch),
    ("state_dict", broken.ForgetsABuffer),
    ("deepcopy", broken.KeepsAGraph),
    ("parameters_registered", broken.PlainList),
    ("parameters_stay", broken.MadeAnew),
    ("gradient", broken.CutByData),
    ("finite", broken.NoEpsilon),
    ("attention_map", broken.MapOfTheWrongForm),
    ("gate_range", broken.GateWithoutSigmoid),
    ("mask_full", broken.AnotherFormulaWithMask),
    ("mask", broken.IgnoresTheMask),
    ("mask_gradient", broken.CutByMask),
    ("mask_empty", broken.DividesByNoPositions),
    ("mask_garbage", broken.MultipliesByTheMask),
    ("mask_training", broken.LearnsFromPadding),
    ("mask_graph", broken.LooksAtTheMask),
    ("mask_map", broken.MapWithoutTheMask),
    ("stages", broken.StagesOutOfOrder),
    ("slots", broken.SlotOfAnotherWidth),
    ("export", broken.BranchesOnValues),
    ("compile", broken.BreaksTheGraph),
    ("onnx", broken.UnknownToOnnx),
    ("identity_start", broken.NothingOverNothing),
    ("saved", broken.StateThatIsNoTensor),
    ("growth", broken.ComparesAllPairs),
    ("growth", broken.SaysMoreThanItGrows),
]


def failures(examination: Examination, *, asked: str = "") -> dict[str, Failed]:
    """The properties that fail, with what was seen. Of those that take long, only the one asked for is checked."""
    names = [one.name for one in examination.properties if one.name not in SLOW - {asked}]
    found = {name: examination.outcome(name) for name in names}
    return {name: outcome for name, outcome in found.items() if isinstance(outcome, Failed)}


def two_dimensional(cls: type) -> Component:
    """The component of a class, in two dimensions alone: half the time."""
    component, _ = resolve(cls)
    mask = getattr(cls, "honours_masks", False)
    return Component(**{**vars(component), "ndims": (2,), "mask": mask})


@pytest.mark.parametrize(
    ("name", "cls"),
    [pytest.param(*one, marks=pytest.mark.slow if one[0] == "onnx" else ()) for one in BROKEN],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_is_broken_is_caught_by_its_property_alone(name: str, cls: type) -> None:
    """One failure, of the property that the module breaks."""
    if name == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    examination = Examination(two_dimensional(cls), slow=name in SLOW)
    assert set(failures(examination, asked=name)) == {name}


def test_every_property_has_a_module_that_breaks_it() -> None:
    """A check that cannot fail checks nothing."""
    assert {name for name, _ in BROKEN} == set(NAMES)


@pytest.mark.parametrize(
    "cls", [broken.Sound, broken.Unmasked, broken.Backbone, broken.Head, broken.Scorer]
)
def test_sound_modules_have_every_property(cls: type) -> None:
    """What the broken ones are made from is not broken."""
    assert failures(Examination(two_dimensional(cls))) == {}


@pytest.mark.parametrize(
    "name",
    [
        "attention/se",
        "attention/cbam",
        "attention/mhsa",
        "head/avg",
        "head/gem",
        "head/csra",
        "backbone/attn_cnn",
        "backbone/plain_cnn",
    ],
)
def test_ours_have_every_property(name: str) -> None:
    """In one and two dimensions."""
    component, options = resolve(name)
    if component.kind == "backbone":
        options = {"widths": [4, 8], "depths": 1}
    assert failures(Examination(component, options)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SLOW))
def test_ours_have_what_takes_long(name: str) -> None:
    """With torch's own compiler, and with onnxruntime where it is installed."""
    if name == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    component, _ = resolve("attention/se")
    assert Examination(component, slow=True).outcome(name) == Passed()


def test_onnx_is_skipped_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason says what to install."""
    monkeypatch.setattr("zoo.testing.export.find_spec", lambda name: None)
    outcome = Examination(resolve("attention/se")[0], slow=True).outcome("onnx")
    assert isinstance(outcome, Skipped)
    assert outcome.reason.endswith("not installed: pip install 'attn-zoo[onnx]'")


def test_properties_are_named_once_and_described_in_one_line() -> None:
    """The table is what reports show; what a property needs stands before it or beside it."""
    assert len(set(NAMES)) == len(NAMES)
    assert all("\n" not in one.description and one.description[-1] == "." for one in PROPERTIES)
    assert {need for one in PROPERTIES for need in one.needs} <= set(NAMES)


@pytest.mark.parametrize("name", ["body", "module", "original"])
def test_the_names_of_its_parts_are_a_backbones_own_affair(name: str) -> None:
    """Also those that wrappers of ours go by."""
    backbone = Component(kind="backbone", name="own", target=broken.with_part_called(name))
    assert Examination(backbone, {}).outcome("identity_start") == Passed()

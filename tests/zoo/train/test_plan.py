"""Plans: what is to be trained, and what of it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.errors import InvalidValue
from zoo.spec import Spec
from zoo.train.comparison.judging import judge
from zoo.train.comparison.rows import make_rows
from zoo.train.comparison.runs import Run
from zoo.train.plan import read_plan
from zoo.train.recipe import recipe_for

PLAN = """\
data: squares
seeds: [0, 1]
recipe: {epochs: 2}
specs:
  none: resnet_cifar + avg
  se: resnet_cifar + se@branch(reduction=4) + avg
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a plan of four trainings."""
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN)
    return file


def run_of(path: Path, number: int, top1: float = 0.5) -> Run:
    """A run of one of the plan's trainings, with the classes that the data brought."""
    training = read_plan(path).trainings[number]
    spec = Spec.from_data({**training.spec.to_data(), "output": {"labels": ["a", "b"]}})
    figures = {"test/top1": top1}
    recipe = recipe_for(training.recipe, spec.input).to_data()
    return Run(Path(training.folder), spec, recipe, "squares", figures)


def test_trainings_come_seed_by_seed(path: Path) -> None:
    """So that whoever stops early can compare all rows by the first seeds."""
    plan = read_plan(path)
    assert [training.folder for training in plan.trainings] == [
        "none-seed0",
        "se-seed0",
        "none-seed1",
        "se-seed1",
    ]


def test_what_has_no_run_is_missing(path: Path) -> None:
    """Runs are known by what they trained, whatever their data added to the spec."""
    rows = make_rows([run_of(path, 0), run_of(path, 3)], "test/top1")
    missing = [training.folder for training in read_plan(path).missing(rows)]
    assert missing == ["se-seed0", "none-seed1"]


def test_what_a_plan_leaves_out_of_its_recipe_is_what_zoo_train_takes(path: Path) -> None:
    """It depends on the input, which only the data bring: augmentation, decay, rate."""
    plan, run = read_plan(path), run_of(path, 0)
    assert [step["name"] for step in run.recipe["augment"]] == ["crop", "flip"]
    assert plan.training_of(run) == plan.trainings[0]
    assert plan.training_of(run._replace(recipe={**run.recipe, "augment": []})) is None


def test_rows_get_the_titles_and_the_order_of_the_plan(path: Path) -> None:
    """A run that is not in the plan comes last, under its own name."""
    other = run_of(path, 1)
    other = other._replace(recipe={**other.recipe, "epochs": 9})
    rows = make_rows([other, run_of(path, 1), run_of(path, 0)], "test/top1")
    titles = [row.title for row in read_plan(path).titled(rows)]
    assert titles == ["none", "se", "se@branch(reduction=4), epochs 9"]


def test_a_row_that_nobody_trained_is_empty(path: Path) -> None:
    """What it would be follows from the plan, and from what the data brought to another training."""
    plan, run = read_plan(path), run_of(path, 1)
    none, se = plan.titled(make_rows([run], "test/top1"))
    assert (none.runs, none.values, se.runs) == ((), (), (run,))
    assert judge([none, se], se) == [None, None]
    completed = plan.completed("none", run.spec)
    assert completed.output == run.spec.output
    assert completed.attention == ()


def test_what_the_data_say_may_be_left_out_of_an_input(path: Path) -> None:
    """As in a spec that is trained by itself: here the channels, which no two data sets share."""
    text = path.read_text().replace(
        "none: resnet_cifar", "none: image(size=[16, 16]) -> resnet_cifar"
    )
    path.write_text(text)
    plan = read_plan(path)
    subject = plan.subject(plan.trainings[0])
    assert subject.spec["input"] == {"kind": "image", "size": [16, 16]}
    assert plan.training_of(run_of(path, 0)) == plan.trainings[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds: [0, 1]", "seeds: []", "A plan has data, seeds, recipe and specs"),
        ("data: squares", "dota: squares", "unknown field `dota`"),
        ("se@branch", "sse@@branch", "specs.se: "),
        ("{epochs: 2}", "{epochs: 0}", "recipe.epochs: 0 is not at least 1"),
        ("{epochs: 2}", "{epochs: 2, seed: 3}", "recipe.seed: the seeds of a plan are under 'se"),
        ("[0, 1]", "[0, 1, 0]", r"seeds: \[0, 1, 0\] has one twice; each is trained once"),
        ("[0, 1]", "[0, 1]\nleaks: dropp", "Invalid enum value 'dropp'"),
        ("  se:", "  ../../other/x:", r"specs: '../../other/x' cannot be a title.* Write letters"),
        ("  se:", "  _se:", r"specs: '_se' cannot be a title"),
        ("  se:", "  ..:", r"specs: '\.\.' cannot be a title"),
        ("  se:", '  "se\\n":', r"specs: 'se\\n' cannot be a title"),
        (
            "  none: resnet_cifar",
            "  se@a: resnet_cifar + eca@branch + avg\n  se_a: resnet_cifar",
            "se@a and se_a would be trained in the same folders; call one of them otherwise",
        ),
        (
            "  none:",
            "  plain: resnet_cifar + avg\n  none: image(channels=1) ->",
            r"plain and none are the same \(their input follows from the data\); leave one",
        ),
    ],
)
def test_what_is_wrong_in_a_plan_is_named(path: Path, old: str, new: str, message: str) -> None:
    """With the file, and the place in it; a plan that contradicts itself is none."""
    assert old in PLAN
    path.write_text(PLAN.replace(old, new))
    with pytest.raises(InvalidValue, match=message):
        read_plan(path)


def test_the_plan_of_the_fair_table_can_be_read() -> None:
    """Sixteen rows, three seeds."""
    root = Path(__file__).resolve().parents[3]
    file = root / "recipes" / "fair_table.yaml"
    if not file.is_file():
        pytest.skip("only a checkout has the recipes")
    assert len(read_plan(file).trainings) == 48


def test_of_two_rows_that_are_one_in_the_plan_none_is_lost(path: Path) -> None:
    """Normalised otherwise they are two rows; the second keeps its own title."""
    run = run_of(path, 0)
    data = run.spec.to_data()
    data["input"] = {**data["input"], "mean": [0.1] * 3, "std": [0.2] * 3}
    other = run._replace(spec=Spec.from_data(data), figures={"test/top1": 0.9})
    rows = read_plan(path).titled(make_rows([run, other], "test/top1"))
    assert [row.values for row in rows] == [(0.5,), (), (0.9,)]
    assert "mean [0.1" in rows[2].title


def test_what_began_with_other_weights_is_not_in_a_plan(path: Path) -> None:
    """A plan's trainings begin from nothing."""
    run = run_of(path, 0)._replace(conditions={"started_from": {"ref": "x@1.0.0"}})
    assert read_plan(path).training_of(run) is None


def test_what_was_trained_under_other_conditions_is_not_in_a_plan(path: Path) -> None:
    """The plan says them, or they are the ordinary ones; what is held out is a part of the data's name."""
    ordinary, other = run_of(path, 0), run_of(path, 0)
    other = other._replace(conditions={"split_seed": 3, "leaks": "drop"})
    held_out = ordinary._replace(conditions={"hold_out": "speaker=ann"})
    plan = read_plan(path)
    assert plan.training_of(other) is None
    assert plan.training_of(held_out) == plan.training_of(ordinary) == plan.trainings[0]
    path.write_text(f"{PLAN}split_seed: 3\nleaks: drop\nunreadable: refuse\n")
    plan = read_plan(path)
    assert plan.training_of(other) == plan.trainings[0]
    assert plan.training_of(ordinary) is None
    skipped = other._replace(conditions={**other.conditions, "unreadable": "skip"})
    assert plan.training_of(skipped) is None

"""Titles of rows: what tells them apart, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo.spec import Spec
from zoo.train.comparison.rows import make_rows
from zoo.train.comparison.runs import read_run

MakeRun = Callable[..., Path]


def test_rows_are_named_by_what_differs(make_run: MakeRun) -> None:
    """By the attentions where only these differ, and by fields of the recipe."""
    se = [{"name": "se", "slot": "branch"}]
    folders = [make_run("a", 0.8), make_run("b", 0.8, attention=se), make_run("c", 0.8, epochs=3)]
    rows = make_rows([read_run(folder) for folder in folders], "validation/top1")
    assert [row.title for row in rows] == [
        "none, epochs 2",
        "se@branch, epochs 2",
        "none, epochs 3",
    ]


def test_rows_are_told_apart_by_what_is_out_of_the_ordinary(make_run: MakeRun) -> None:
    """In few words: nothing is said of the usual, and what a run began with has a short name."""
    changes: dict[str, dict[str, Any]] = {
        "usual": {},
        "seed": {"request": {"split_seed": 3}},
        "held": {"request": {"hold_out": "speaker=ann"}},
        "file": {"started_from": {"sha256": "ab" * 32, "recipe": {"epochs": 3}}},
        "version": {"started_from": {"ref": "net@1.0.0"}},
    }
    runs = []
    for name, change in changes.items():
        folder = make_run(name, 0.8)
        asked = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps({**asked, **change}))
        runs.append(read_run(folder))
    assert [row.title for row in make_rows(runs, "validation/top1")] == [
        "none",
        "none, split_seed 3",
        "none, hold_out speaker=ann",
        "none, started_from abababababab",
        "none, started_from ref=net@1.0.0",
    ]


def test_rows_are_told_apart_by_classes_augmentations_and_at_last_by_folders(
    make_run: MakeRun,
) -> None:
    """No two rows have one title."""
    runs = []
    for name, labels, augment in (
        ("a", ["x", "y"], [{"name": "flip"}]),
        ("b", ["x", "z"], [{"name": "crop", "padding": 2}]),
        ("c", ["x", "z"], [{"name": "crop", "padding": 2}]),
    ):
        run = read_run(make_run(name, 0.8))
        output = {"kind": "classes", "labels": labels}
        spec = Spec.from_data({**run.spec.to_data(), "output": output})
        runs.append(run._replace(spec=spec, recipe={**run.recipe, "augment": augment}))
    other = {**runs[2].spec.to_data(), "backbone": {"name": "resnet_cifar", "depth": 20}}
    runs[2] = runs[2]._replace(spec=Spec.from_data(other))
    first, *rest = [row.title for row in make_rows(runs, "validation/top1")]
    assert first.endswith(", augment [flip], classes x, y")
    assert all(title.endswith(", augment [crop(padding=2)], classes x, z") for title in rest)
    assert len({first, *rest}) == 3

"""What the rows of a comparison are called: by that in which they differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.errors import some
from zoo.grammar import to_text
from zoo.train.comparison.runs import Run


def titles_of(runs: Sequence[Run]) -> list[str]:
    """A title for each run, no two alike."""
    titles = _specs(runs)
    for field, values in _differing(runs).items():
        titles = [
            title if value is None else f"{title}, {field} {_shown(value)}"
            for title, value in zip(titles, values, strict=True)
        ]
    return [
        title if titles.count(title) == 1 else f"{title}, {run.folder}"
        for title, run in zip(titles, runs, strict=True)
    ]


def _specs(runs: Sequence[Run]) -> list[str]:
    """The attentions of each run where only these differ, else its whole spec but for the input."""
    specs = [run.spec.to_data() for run in runs]
    kinds = {json.dumps([spec[part] for part in ("input", "backbone", "head")]) for spec in specs}
    texts = [to_text(run.spec).split(" -> ")[1] for run in runs]
    if len(kinds) > 1:
        return texts
    return [" + ".join(text.split(" + ")[1:-1]) or "none" for text in texts]


def _differing(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Of each field but the seed in which not all runs are alike what each has there, None for nothing."""
    fields = [
        {
            **run.spec.to_data()["input"],
            "classes": some(run.spec.output.labels or ()),
            **run.recipe,
            **run.conditions,
            "seed": None,
        }
        for run in runs
    ]
    columns = {
        name: [own.get(name) for own in fields]
        for name in sorted({name for own in fields for name in own})
    }
    return {
        name: values for name, values in columns.items() if any(one != values[0] for one in values)
    }


def _shown(value: Any) -> str:
    """A value in a title: of what a run started from its digest or name, of an augmentation the short form."""
    if isinstance(value, Mapping):
        said = {**value}
        if isinstance(digest := said.get("sha256"), str):
            return digest[:12]
        name = said.pop("name", "")
        options = ", ".join(f"{key}={_shown(one)}" for key, one in said.items())
        return f"{name}({options})" if options and name else name or options
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return value if isinstance(value, str) else json.dumps(value)

"""Export and compilation: one program for every size, with the same numbers."""

from __future__ import annotations

from typing import Any

import torch

from zoo.testing.outcomes import Failed, Outcome, Passed, Skipped
from zoo.testing.subject import Subject, difference


def export(subject: Subject) -> Outcome:
    """Export with dynamic batch and size, and run at another one."""
    if "/" in subject.component.name:
        return Skipped("its sizes are the library's own")
    module = subject.build()
    example = subject.draw(batch=3)
    axes = (0, *range(example.ndim - len(subject.home), example.ndim))
    dynamic = (dict.fromkeys(axes, torch.export.Dim.DYNAMIC),)
    program = torch.export.export(module, (example,), dynamic_shapes=dynamic).module()
    for size in (subject.home, subject.other_sizes[-1]):
        x = subject.draw(size, batch=2)
        if gap := difference(subject.run(program, x), subject.run(module, x)):
            return Failed(
                f"the exported program to give the same numbers for {tuple(x.shape)}", gap
            )
    return Passed()


def compiled(subject: Subject) -> Outcome:
    """Compile it whole, without a break."""
    module, x = subject.build(), subject.draw()
    torch._dynamo.reset()
    program: Any = torch.compile(module, fullgraph=True)
    with torch.no_grad():
        if gap := difference(subject.run(program, x), subject.run(module, x), atol=1e-4):
            return Failed("the compiled module to give the same numbers", gap)
    return Passed()

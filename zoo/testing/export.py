"""Export and compilation: one program for every size, with the same numbers."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from zoo.testing.outcomes import Failed, Outcome, Passed, Skipped
from zoo.testing.subject import Subject, difference


def export(subject: Subject) -> Outcome:
    """Export with dynamic batch and size, and run at another one."""
    if "/" in subject.component.name:
        return Skipped("its sizes are the library's own")
    module = subject.build()
    example = subject.draw(batch=3)
    dynamic = _dynamic(subject, example)
    program = torch.export.export(module, (example,), dynamic_shapes=dynamic).module()
    for size in (subject.home, subject.other_sizes[-1]):
        x = subject.draw(size, batch=2)
        if gap := difference(subject.run(program, x), subject.run(module, x)):
            return Failed(
                f"the exported program to give the same numbers for {tuple(x.shape)}", gap
            )
    return Passed()


def onnx(subject: Subject) -> Outcome:
    """Export to ONNX with dynamic batch and size, and run it with onnxruntime at another one."""
    if "/" in subject.component.name:
        return Skipped("its sizes are the library's own")
    missing = [name for name in ("onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        return Skipped(f"{' and '.join(missing)} not installed: pip install 'attn-zoo[onnx]'")
    import onnxruntime

    module, example = subject.build(), subject.draw(batch=3)
    exported: Any = torch.onnx.export(
        module, (example,), dynamo=True, dynamic_shapes=_dynamic(subject, example), verbose=False
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        exported.model_proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    for size in (subject.home, subject.other_sizes[-1]):
        x = subject.draw(size, batch=2)
        found = torch.from_numpy(session.run(None, {name: x.numpy()})[0])
        if gap := difference(found, subject.run(module, x), rtol=1e-3, atol=1e-4):
            return Failed(f"the ONNX program to give the same numbers for {tuple(x.shape)}", gap)
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


def _dynamic(subject: Subject, example: Tensor) -> tuple[dict[int, Any]]:
    """Free sizes for the batch and all axes of space."""
    axes = (0, *range(example.ndim - len(subject.home), example.ndim))
    return (dict.fromkeys(axes, torch.export.Dim.DYNAMIC),)

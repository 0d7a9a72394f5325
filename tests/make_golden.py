"""Make the golden files again: `python tests/make_golden.py [NAME ...]`, all of them or some.

A golden file is one small case of an attention or a head in float64, computed by the slow formula in its
test, not by the module: a safetensors file in `golden/` beside the test, with

    x              (N, C, *spatial), the input; behind the mask stand values that must not matter
    mask           (N, *spatial), True where x is real; absent where the component takes none
    state.*        parameters and buffers of the module, random
    output         of the real positions: (N, C, *real spatial), of a head (N, out_features)
    weights        of the shape of `output`
    gradient       of the sum of `output * weights` with respect to the real x, from differences of the formula

The test file says what the case is by a function `golden_case()`. It returns the module with its options,
the shape of a sample (channels, *real spatial), and the slow formula of x, which reads the module's state
when it is called.
"""

from __future__ import annotations

import importlib.util
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

TESTS = Path(__file__).parent
STEP = 1e-5
Formula = Callable[[Tensor], Tensor]


def sources() -> dict[str, Path]:
    """The test files that have a golden case, by the name of the component."""
    found = [
        *TESTS.glob("plugins/zoo_attention/*/test_*.py"),
        *TESTS.glob("plugins/zoo_pooling/test_*.py"),
    ]
    return {
        path.stem.removeprefix("test_"): path
        for path in sorted(found)
        if "def golden_case()" in path.read_text()
    }


def place(source: Path) -> Path:
    """Where the golden file of a test file stands."""
    return source.parent / "golden" / f"{source.stem.removeprefix('test_')}.safetensors"


def load(source: Path) -> ModuleType:
    """A test file as a module."""
    spec = importlib.util.spec_from_file_location(f"golden_{source.stem}", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make(name: str, source: Path, *, masked: bool) -> dict[str, Tensor]:
    """The tensors of one golden file."""
    tensors, formula = case(name, source, masked=masked)
    tensors["gradient"] = differences(formula, real(tensors), tensors["weights"])
    return tensors


def case(name: str, source: Path, *, masked: bool) -> tuple[dict[str, Tensor], Formula]:
    """All but the gradient, with the formula that it takes."""
    module, shape, formula = load(source).golden_case()
    numbers = draws(name)
    randomize(module.double().eval().requires_grad_(False), numbers)
    wider = [side + 1 if masked else side for side in shape[1:]]
    x = next(numbers)(2, shape[0], *wider)
    tensors = {"x": x}
    if masked:
        tensors["mask"] = torch.zeros(2, *wider, dtype=torch.bool)
        tensors["mask"][(..., *map(slice, shape[1:]))] = True
    with torch.no_grad():
        output = formula(real(tensors))
    tensors |= {"output": output.contiguous(), "weights": next(numbers)(*output.shape)}
    tensors |= {f"state.{key}": value.clone() for key, value in module.state_dict().items()}
    return tensors, formula


def real(tensors: dict[str, Tensor]) -> Tensor:
    """The real part of x: the box that the mask lays in its corner."""
    x = tensors["x"]
    if "mask" not in tensors:
        return x
    sides = [int(side) for side in tensors["mask"][0].nonzero().amax(0) + 1]
    return x[(..., *map(slice, sides))].contiguous()


def draws(name: str) -> Iterator[Callable[..., Tensor]]:
    """Functions that draw tensors between -1 and 1, of numbers that are the same on every machine."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    while True:
        yield (
            lambda *shape: (
                torch.randint(-(2**20), 2**20, shape, generator=generator).double() / 2**20
            )
        )


def randomize(module: nn.Module, numbers: Iterator[Callable[..., Tensor]]) -> None:
    """Move a module off its start, where gates that are still shut would hide what is behind them."""
    for parameter in module.parameters():
        parameter.copy_(next(numbers)(*parameter.shape))
    for key, buffer in module.named_buffers():
        if key.endswith("running_mean"):
            buffer.copy_(next(numbers)(*buffer.shape))
        if key.endswith("running_var"):
            buffer.copy_(next(numbers)(*buffer.shape) / 2 + 1)


@torch.no_grad()
def differences(formula: Formula, x: Tensor, weights: Tensor) -> Tensor:
    """The gradient of the weighted sum of a formula's output, from central differences."""
    gradient = torch.empty_like(x)
    for place_, value in enumerate(x.flatten().tolist()):
        sums = []
        for moved in (value + STEP, value - STEP):
            near = x.clone()
            near.view(-1)[place_] = moved
            sums.append((formula(near) * weights).sum())
        gradient.view(-1)[place_] = (sums[0] - sums[1]) / (2 * STEP)
    return gradient


def main(names: list[str]) -> None:
    """Write the golden files of these components, or of all."""
    import zoo_attention
    import zoo_pooling

    masks = {one.name: one.mask for one in (*zoo_attention.COMPONENTS, *zoo_pooling.COMPONENTS)}
    for name, source in sources().items():
        if not names or name in names:
            place(source).parent.mkdir(exist_ok=True)
            save_file(make(name, source, masked=masks[name]), place(source))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])

"""What a module costs: its parameters, and the multiply-adds of one run, counted without computing it.

A multiply-add is a product of two numbers, with the addition that may follow. Counted are those of
convolutions, linear layers and matrix products (as torch's own counter has them), and products number by
number, such as those of a map with a gate. Not counted: products with a constant; means, maxima and other
statistics; norms, softmax, activations and divisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.backends import mha
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry
from torch.utils.weak import WeakTensorKeyDictionary

from zoo.composition.model import Model
from zoo.composition.modes import evaluating
from zoo.errors import InvalidValue, first_line
from zoo.spec import INPUT_AXES, AudioInput, ImageInput, Input, TextInput

_PRODUCTS = {torch.ops.aten.mul: 0, torch.ops.aten.mul_: 0}
# Their argument 0 is what the product is added to.
_PRODUCTS |= {torch.ops.aten.addcmul: 1, torch.ops.aten.addcmul_: 1}


class Cost(NamedTuple):
    """What one sample costs.

    Attributes:
        parameters: Numbers that training changes.
        multiply_adds: Products, of convolutions, layers, matrices and gates, of one forward pass in eval mode.
    """

    parameters: int
    multiply_adds: int


def cost(module: nn.Module, shape: Sequence[int] | None = None) -> Cost:
    """Count the parameters of a model or component, and the multiply-adds of one sample in eval mode.

    Nothing is computed: only shapes go through the module, so that large ones take no memory.

    Args:
        module: A composed model, or any module that takes one tensor.
        shape: Shape of the sample, without the batch: (channels, *spatial), for a text (length,). By
            default that of the model's input block.

    Raises:
        InvalidValue: It is no module; or no shape is given, and the module is no model whose input block has a size; or the module
            does not run at this shape, or only on numbers.
    """
    if not isinstance(module, nn.Module):
        raise InvalidValue(
            f"zoo.cost takes a model or module, e.g. zoo.create('attn_cnn_small'); got {module!r:.80}."
        )
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    parameters, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    with _counting(module), fake:
        shapes: dict[str, Tensor] = {
            name: fake.from_tensor(tensor) for name, tensor in {**parameters, **buffers}.items()
        }
        x = example(module, shape)
        with _Counter() as counter:
            counter.varies(x, *(one for name, one in shapes.items() if name in parameters))
            try:
                functional_call(module, shapes, (x,))
            except Exception as error:
                raise InvalidValue(
                    f"zoo.cost: {type(module).__name__} does not run on one sample of shape "
                    f"{tuple(x.shape[1:])} without its numbers: {first_line(error)}"
                ) from error
    return Cost(sum(one.numel() for one in module.parameters()), counter.multiply_adds)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no annotations there
    """Counts products; knows a constant by its being made of nothing that varies: neither input nor parameters."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.multiply_adds = 0
        self._varying = WeakTensorKeyDictionary()

    def varies(self, *tensors: Tensor) -> None:
        """Note tensors that are no constants."""
        self._varying.update(dict.fromkeys(tensors))

    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        given = [one in self._varying for one in _tensors((args, kwargs))]
        if any(given):
            self.varies(*_tensors(result))
        operator = function.overloadpacket
        if operator in flop_registry:
            self.multiply_adds += flop_registry[operator](*args, **kwargs, out_val=result) // 2
        elif operator in _PRODUCTS and all(
            self._varies(one) for one in args[_PRODUCTS[operator] :]
        ):
            self.multiply_adds += result.numel()
        return result

    def _varies(self, factor: Any) -> bool:
        return isinstance(factor, Tensor) and factor in self._varying


def _tensors(values: Any) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


def example(module: nn.Module, shape: Sequence[int] | None = None) -> Tensor:
    """One sample of zeros, in a batch of 1, in the dtype and on the device of the module; of the shape that its input block has."""
    block = module.spec.input if isinstance(module, Model) else None
    if shape is None and block is not None:
        shape = input_shape(block)
    if shape is None:
        axes = ", ".join(INPUT_AXES[block.kind]) if block else "channels, *spatial"
        raise InvalidValue(
            f"zoo.cost: this {type(module).__name__} takes any size; give shape=({axes}), that of one "
            "sample without the batch."
        )
    dtypes = (p.dtype for p in module.parameters() if p.is_floating_point())
    dtype = torch.long if isinstance(block, TextInput) else next(dtypes, torch.float32)
    device = next((p.device for p in module.parameters()), None)
    try:
        return torch.zeros(1, *shape, dtype=dtype, device=device)
    except (RuntimeError, TypeError) as error:  # no sequence, or beyond torch's integers
        raise InvalidValue(
            f"zoo.cost: no sample has the shape {shape!r:.200}: {first_line(error)}"
        ) from error


def input_shape(block: Input) -> tuple[int, ...] | None:
    """The shape of one sample as an input block has it; None where it leaves the size open."""
    if isinstance(block, ImageInput) and block.size is not None:
        return (block.channels, *block.size)
    if isinstance(block, AudioInput) and block.length is not None:
        return (block.channels, block.length)
    if isinstance(block, TextInput) and block.length is not None:
        return (block.length,)
    return None


@contextmanager
def _counting(module: nn.Module) -> Iterator[None]:
    """Eval mode, no gradients, and none of torch's fused layers, whose products nobody counts."""
    fused = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        with evaluating(module), torch.no_grad():
            yield
    finally:
        mha.set_fastpath_enabled(fused)

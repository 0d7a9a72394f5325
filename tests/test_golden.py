"""Every attention and head gives the numbers of its golden file, and the files those of the slow formulas."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
import zoo_attention
import zoo_pooling
from safetensors.torch import load_file
from torch import Tensor, nn

_spec = importlib.util.spec_from_file_location(
    "make_golden", Path(__file__).with_name("make_golden.py")
)
golden = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(golden)

COMPONENTS = {one.name: one for one in (*zoo_attention.COMPONENTS, *zoo_pooling.COMPONENTS)}
SOURCES = golden.sources()
EACH = pytest.mark.parametrize("name", COMPONENTS)
# Biases of keys: they move all scores of a query alike, and the softmax takes them out.
WITHOUT_EFFECT = {
    ("a2", "gather.bias"),
    ("criss_cross", "key.bias"),
    ("efficient", "key.bias"),
    ("external", "query.bias"),
    ("non_local", "phi.bias"),
    ("pam", "key.bias"),
}
# Without parameters, so changed in another way: by options, or to the class of another component.
WITHOUT_PARAMETERS = {
    "avg": ("max", {}),
    "avgmax": ("avg", {}),
    "catavgmax": ("stats", {}),
    "gaussian_ct": ("gaussian_ct", {"width": 2.01}),
    "kmax": ("kmax", {"k": 2}),
    "mac": ("rmac", {}),
    "max": ("softpool", {}),
    "rmac": ("rmac", {"use_whole": True}),
    "simam": ("simam", {"regularization": 2e-4}),
    "softpool": ("avg", {}),
    "spp": ("spp", {"bins": (2, 1)}),
    "stats": ("stats", {"eps": 2e-5}),
}


def built(name: str, tensors: dict[str, Tensor]) -> nn.Module:
    """The module of a golden case with the state of its file."""
    module: nn.Module = golden.load(SOURCES[name]).golden_case()[0].double().eval()
    state = {
        key.removeprefix("state."): v for key, v in tensors.items() if key.startswith("state.")
    }
    module.load_state_dict(state)
    return module


def check(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Hold output and gradient of a module against a file: as it is, and within padding."""
    runs = [(golden.real(tensors), None)]
    if "mask" in tensors:
        runs.append((tensors["x"], tensors["mask"]))
    for x, mask in runs:
        x.requires_grad_()
        y = module(x) if mask is None else module(x, mask)
        corner = tuple(map(slice, tensors["output"].shape))
        torch.testing.assert_close(y[corner], tensors["output"], rtol=1e-9, atol=1e-9)
        (gradient,) = torch.autograd.grad((y[corner] * tensors["weights"]).sum(), x)
        corner = tuple(map(slice, tensors["gradient"].shape))
        torch.testing.assert_close(gradient[corner], tensors["gradient"], rtol=1e-6, atol=1e-7)
        if mask is not None:
            assert not gradient[(~mask).unsqueeze(1).expand_as(gradient)].any()


@EACH
def test_module_gives_the_golden_numbers(name: str) -> None:
    """Output and gradient are those of the file, without a mask and with one."""
    tensors = load_file(golden.place(SOURCES[name]))
    assert ("mask" in tensors) == COMPONENTS[name].mask
    check(built(name, tensors), tensors)


@EACH
def test_making_it_again_gives_the_same_numbers(name: str) -> None:
    """Input and state to the bit, the output but for the last digits of another machine's logarithm."""
    tensors = load_file(golden.place(SOURCES[name]))
    again, _ = golden.case(name, SOURCES[name], masked=COMPONENTS[name].mask)
    assert again.keys() | {"gradient"} == tensors.keys()
    for key, value in again.items():
        tolerance = 1e-12 if key == "output" else 0
        torch.testing.assert_close(value, tensors[key], rtol=tolerance, atol=tolerance)


@pytest.mark.slow
@EACH
def test_making_its_gradient_again_gives_the_same_numbers(name: str) -> None:
    """Differences of the slow formula, to the digits that differences have."""
    tensors = load_file(golden.place(SOURCES[name]))
    again = golden.make(name, SOURCES[name], masked=COMPONENTS[name].mask)
    torch.testing.assert_close(again["gradient"], tensors["gradient"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in COMPONENTS if name not in WITHOUT_PARAMETERS])
def test_a_changed_parameter_is_noticed(name: str) -> None:
    """Each parameter, a little off, makes the numbers others: the case leaves none without effect."""
    tensors = load_file(golden.place(SOURCES[name]))
    for parameter, _ in built(name, tensors).named_parameters():
        module = built(name, tensors)
        with torch.no_grad():
            changed = module.get_parameter(parameter)
            changed += torch.linspace(1e-3, 2e-3, changed.numel()).view_as(changed)
        if (name, parameter) in WITHOUT_EFFECT:
            check(module, tensors)
        else:
            with pytest.raises(AssertionError, match="are not close"):
                check(module, tensors)


@pytest.mark.parametrize("name", WITHOUT_PARAMETERS)
def test_a_changed_module_is_noticed(name: str) -> None:
    """One without parameters, with another option or in the place of another, does not pass."""
    tensors = load_file(golden.place(SOURCES[name]))
    channels, *spatial = golden.real(tensors).shape[1:]
    other, options = WITHOUT_PARAMETERS[name]
    module = COMPONENTS[other].load()(channels, ndim=len(spatial), **options).double().eval()
    with pytest.raises(AssertionError, match=r"are not close|do not match"):
        check(module, tensors)


def test_a_wrong_gradient_is_noticed() -> None:
    """The output alone does not pass for the whole."""
    tensors = load_file(golden.place(SOURCES["se"]))
    tensors["gradient"][0, 0, 0, 0] += 1e-5
    with pytest.raises(AssertionError, match="are not close"):
        check(built("se", tensors), tensors)


def test_a_masked_value_that_counts_is_noticed() -> None:
    """A module that looks behind its mask does not pass."""
    tensors = load_file(golden.place(SOURCES["se"]))

    class Unmasked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = built("se", tensors)

        def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
            return self.module(x)

    with pytest.raises(AssertionError, match="are not close"):
        check(Unmasked(), tensors)


def test_files_are_small_and_none_is_left_over() -> None:
    """One file a component, in all less than a megabyte."""
    files = set(golden.TESTS.glob("plugins/**/golden/*.safetensors"))
    assert files == {golden.place(source) for source in SOURCES.values()}
    assert sum(path.stat().st_size for path in files) < 2**20


def test_the_script_writes_what_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name, one file; the bytes are those that are there."""
    monkeypatch.setattr(
        golden, "place", lambda source: tmp_path / "golden" / f"{source.stem}.safetensors"
    )
    golden.main(["avg"])
    (made,) = (tmp_path / "golden").iterdir()
    assert made.name == "test_avg.safetensors"
    there = SOURCES["avg"].parent / "golden" / "avg.safetensors"
    assert made.read_bytes() == there.read_bytes()

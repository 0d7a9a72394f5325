"""`zoo.testing.check`: one readable error, and exceptions that have a reason and are needed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo import Component, InvalidValue, UnknownName
from zoo.testing import NotConforming, check, check_attention, check_backbone, check_head


class Halve(nn.Module):
    """An attention that does little, and nothing wrong."""

    def __init__(self, channels: int, *, ndim: int = 2) -> None:
        super().__init__()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return half of x."""
        return x / 2


class Mixing(Halve):
    """Mixes the samples of a batch."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Weigh samples against each other."""
        return x * x.flatten(1).mean(1).softmax(0).reshape(-1, *[1] * (x.ndim - 1))


UNMASKED = Component(name="mixing", kind="attention", target=Mixing, mask=False)


def test_names_components_and_classes_are_taken() -> None:
    """The three ways to say what is meant; a sound one gives no error."""
    check(Halve)
    check(Component(name="halve", kind="attention", target=Halve))
    check("head/avg")
    check_head("max")
    check_attention(Halve)


def test_the_error_says_property_expectation_and_finding() -> None:
    """It is a failed assertion, and readable."""
    with pytest.raises(
        NotConforming,
        match=r"attention/mixing breaks 1 of \d+ properties .*\n  batch_independence\n"
        r"    expected: a sample's output not to depend on its neighbours in the batch\n"
        r"    seen:     128 of 128 values differ",
    ) as caught:
        check(UNMASKED)
    assert isinstance(caught.value, AssertionError)


def test_a_declared_exception_is_let_pass() -> None:
    """Said in the call, or by the class."""
    check(UNMASKED, except_={"batch_independence": "It compares samples: that is its purpose."})

    class Declared(Mixing):
        conformance_exceptions = {"batch_independence": "It compares samples."}  # noqa: RUF012

    check(Component(name="declared", kind="attention", target=Declared, mask=False))


def test_an_exception_that_is_not_needed_fails() -> None:
    """It would hide the day on which the property breaks."""
    with pytest.raises(
        NotConforming, match=r"finite\n.*exception \(huge\) to be needed; .*\n.*it holds"
    ):
        check(Halve, except_={"finite": "huge"})


def test_an_exception_of_what_takes_long_waits_until_it_is_asked_for() -> None:
    """What was not checked says nothing of it."""
    check(Halve, except_={"onnx": "it has no ONNX"})


def test_an_exception_needs_a_reason_and_a_property() -> None:
    """Neither an empty reason nor a misspelt property is taken."""
    with pytest.raises(InvalidValue, match="exception 'finite' has no reason"):
        check(Halve, except_={"finite": " "})
    with pytest.raises(UnknownName, match=r"no property 'finit' to except\. Did you mean 'finite'"):
        check(Halve, except_={"finit": "huge"})


def test_options_are_used() -> None:
    """What fails only with some options is found with them."""

    class Scaled(Halve):
        def __init__(self, channels: int, *, ndim: int = 2, power: float = 1.0) -> None:
            super().__init__(channels)
            self.power = power

        def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
            return x**self.power

    check(Scaled)
    with pytest.raises(NotConforming, match="finite"):
        check(Scaled, options={"power": 8.0})


def test_what_is_no_component_is_refused() -> None:
    """Neither an unknown name nor an instance."""
    with pytest.raises(UnknownName, match="No plug-in offers attention/no_such"):
        check("no_such")
    with pytest.raises(UnknownName, match="No plug-in offers backbone/se"):
        check_backbone("se")
    with pytest.raises(InvalidValue, match=r"neither a name, a zoo\.Component nor a class"):
        check(Halve(8))


def test_the_random_state_and_the_catalog_are_left_alone() -> None:
    """The kit may stand in anybody's tests."""
    torch.manual_seed(5)
    state, known = torch.get_rng_state(), zoo.list_components()
    check(Halve)
    assert torch.equal(torch.get_rng_state(), state)
    assert zoo.list_components() == known

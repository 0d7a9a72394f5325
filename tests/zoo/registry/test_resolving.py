"""From a ref to a version: which one of several, and what is said when there is none."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from zoo import PluginError, Registry, UnknownName
from zoo.refs import Ref
from zoo.registry.resolving import YankedWarning, resolve

MakeRegistry = Callable[..., Registry]
YANKED = {"status": {"yanked": "wrong split"}}


def found(ref: str, *registries: Registry) -> str:
    """The complete number that a ref comes to."""
    return str(resolve(Ref.parse(ref), registries)[1].ref.number)


@pytest.fixture
def registry(make_registry: MakeRegistry) -> Registry:
    """One variant with every kind of version."""
    return make_registry(
        a_net={
            "0.9.0": {},
            "1.0.0": {},
            "1.2.0": {"blob": b"120"},
            "1.2.1": YANKED,
            "1.10.0": {},
            "2.0.0": {"requires": {"attn-zoo": ">=99"}},
            "2.1.0-rc1": {},
            "3.0.0": {"requires": {"no-such-one": ">=1", "no-other": ">=2"}},
            "4.0.0-alpha": YANKED,
        }
    )


@pytest.mark.parametrize(
    ("ref", "number"),
    [
        ("a_net", "1.10.0"),
        ("a_net@1", "1.10.0"),
        ("a_net@1.2", "1.2.0"),
        ("a_net@0", "0.9.0"),
        ("a_net@1.0.0", "1.0.0"),
        ("a_net@2.0.0", "2.0.0"),
        ("a_net@2.1.0-rc1", "2.1.0-rc1"),
        ("tests/a_net@1.2", "1.2.0"),
    ],
)
def test_a_ref_comes_to_the_newest_release_that_it_allows(
    registry: Registry, ref: str, number: str
) -> None:
    """Not to one that was withdrawn, is a pre-release or needs what is not there, unless asked exactly."""
    assert found(ref, registry) == number


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("a_net@4", r"4\.0\.0-alpha \(withdrawn\)"),
        ("a_net@2.1", r"2\.1\.0-rc1 \(pre-release: ask for it exactly\)"),
        ("a_net@1.0.7", r"There is no a_net@1\.0\.7\. Versions of a_net: 0\.9\.0, 1\.0\.0"),
        ("a_net@sha256:" + "0" * 64, "There is no a_net@sha256:0"),
        ("a_nett", r"No variant is called 'a_nett'\. Did you mean 'a_net'"),
        ("test/a_net", r"there is no registry 'test'\. Did you mean 'tests'"),
    ],
)
def test_what_there_is_not_is_answered_with_what_there_is(
    registry: Registry, ref: str, message: str
) -> None:
    """And with why each of them will not do."""
    with pytest.raises(UnknownName, match=message):
        found(ref, registry)


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("a_net@2", r"2\.0\.0 \(needs attn-zoo >=99, installed: \d.*pip install 'attn-zoo>=99'$"),
        (
            "a_net@3",
            r"3\.0\.0 \(needs no-other >=2, installed: none; no-such-one >=1, installed: none\)",
        ),
        ("a_net@3", r"Install them: pip install no-other no-such-one$"),
    ],
)
def test_a_version_that_lacks_nothing_but_packages_is_there_and_says_which(
    registry: Registry, ref: str, message: str
) -> None:
    """All of them, with the command that installs them."""
    with pytest.raises(PluginError, match=f"^{ref} needs what is not installed here.*{message}"):
        found(ref, registry)


def test_a_withdrawn_version_loads_when_asked_exactly_with_its_reason(registry: Registry) -> None:
    """As a warning."""
    with pytest.warns(YankedWarning, match=r"a_net@1\.2\.1 was withdrawn .*: wrong split"):
        assert found("a_net@1.2.1", registry) == "1.2.1"


def test_a_digest_names_its_version(registry: Registry) -> None:
    """Whatever newer ones there are."""
    (listing,) = [one for one in registry.index.listings("a_net") if one.sha256]
    assert found(f"a_net@sha256:{listing.sha256}", registry) == "1.2.0"


def test_the_first_registry_that_knows_the_name_answers(make_registry: MakeRegistry) -> None:
    """Never the highest version over all, not even when the first has nothing that fits."""
    first = make_registry("first", id="first", a_net={"1.0.0": {}})
    second = make_registry("second", id="second", a_net={"9.0.0": {}}, b_net={"1.0.0": {}})
    assert found("a_net", first, second) == "1.0.0"
    assert found("a_net", second, first) == "9.0.0"
    assert found("b_net", first, second) == "1.0.0"
    assert found("second/a_net", first, second) == "9.0.0"
    with pytest.raises(UnknownName, match=r"There is no a_net@9"):
        found("a_net@9", first, second)


def test_a_version_that_was_skipped_is_named_and_not_looked_for_elsewhere(
    make_registry: MakeRegistry,
) -> None:
    """Another registry does not answer for a name that the first one has."""
    first = make_registry("first", id="first", a_net={"1.0.0": {"schema": 2}})
    second = make_registry("second", id="second", a_net={"9.0.0": {}})
    with pytest.raises(UnknownName, match=r"a_net@'1\.0\.0' has schema 2; upgrade attn-zoo"):
        found("a_net", first, second)


def test_the_exact_version_and_digest_are_logged(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """In one line."""
    caplog.set_level(logging.INFO, logger="zoo")
    _, version = resolve(Ref.parse("a_net@1.2"), [registry])
    assert version.weights is not None
    expected = f"a_net@1.2 is a_net@1.2.0 (sha256:{version.weights.sha256}) of registry tests"
    assert caplog.messages == [expected]

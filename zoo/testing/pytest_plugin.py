"""The pytest plug-in: `pytest --zoo-component attention/NAME`, one test a property.

Loaded in every test run of whoever has the package installed: it imports nothing but pytest until one of
its options is used.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("zoo", "conformance of components (attn-zoo)")
    group.addoption(
        "--zoo-component",
        action="append",
        default=[],
        metavar="KIND/NAME",
        help="check a component, e.g. attention/se or backbone/timm/resnet18; may be given several times",
    )
    group.addoption(
        "--zoo-all", action="store_true", help="check every component that is installed"
    )
    group.addoption(
        "--zoo-slow", action="store_true", help="check what takes long, too: torch.compile and ONNX"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Check components alone, unless paths of tests are named as well."""
    if _is_used(config) and config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args = []


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add a test for each property of each component."""
    if _is_used(config):
        from zoo.testing.pytest_items import collect

        items += collect(session, config)


def _is_used(config: pytest.Config) -> bool:
    return bool(config.getoption("zoo_component") or config.getoption("zoo_all"))

"""The conformance kit: checks that a backbone, an attention or a head keeps what its contract promises.

`check(component)` in a test of one's own, or `pytest --zoo-component attention/NAME`: one property a test.
The names are imported on first use: the pytest plug-in in this folder is loaded in every test run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.testing.checking import NotConforming as NotConforming
    from zoo.testing.checking import check as check
    from zoo.testing.checking import check_attention as check_attention
    from zoo.testing.checking import check_backbone as check_backbone
    from zoo.testing.checking import check_head as check_head

__all__ = ["NotConforming", "check", "check_attention", "check_backbone", "check_head"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'zoo.testing' has no attribute {name!r}")
    from zoo.testing import checking

    return getattr(checking, name)

"""A component: a building block that a plug-in offers by name, with the class loaded on use."""

from __future__ import annotations

import importlib
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from zoo.errors import InvalidValue, PluginError

if TYPE_CHECKING:
    from torch import nn

KINDS = ("backbone", "attention", "head")
FAMILIES = ("channel", "spatial", "mixed", "self", "branch")

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*(/\*)?\Z")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*\Z")


class Component:
    """A building block: a backbone, an attention or a head.

    Args:
        name: Lower case with underscores, unique within its kind, e.g. `"cbam"`. A backbone whose name
            ends with `/*` offers a whole name space: `timm/*` answers to `timm/resnet50`, and its
            class gets the part after the slash as the keyword `architecture`.
        target: Where its class is: `"package.module:Class"`. Imported when first used. A class given
            itself also works (it is what the decorators do).
        family: What an attention weighs: one of `channel`, `spatial`, `mixed`, `self`, `branch`.
        summary: One line for people.
        paper: Where it was published, e.g. `"arXiv 1709.01507"`.
        ndims: For how many spatial dimensions it works: 1 for (N, C, L), 2 for (N, C, H, W).
        mask: Whether its `forward` honours a mask.
        kind: `backbone`, `attention` or `head`; set from the hook that the component came through.
        distribution: The installed distribution it came with; set at discovery.
        version: The version of that distribution; set at discovery.

    Raises:
        InvalidValue: A name, target, family or ndims is not of the form above.
    """

    name: str
    target: str | type[nn.Module]
    family: str | None
    summary: str
    paper: str
    ndims: tuple[int, ...]
    mask: bool
    kind: str
    distribution: str | None
    version: str | None

    # By hand what a frozen dataclass would bring: generating one takes longer than all else in this
    # module, each time that a command starts.
    def __init__(
        self,
        *,
        name: str,
        target: str | type[nn.Module],
        family: str | None = None,
        summary: str = "",
        paper: str = "",
        ndims: tuple[int, ...] = (1, 2),
        mask: bool = True,
        kind: str = "",
        distribution: str | None = None,
        version: str | None = None,
    ) -> None:
        vars(self).update(name=name, target=target, family=family, summary=summary, paper=paper)
        vars(self).update(ndims=ndims, mask=mask, kind=kind)
        vars(self).update(distribution=distribution, version=version)
        self._check()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"A Component is never changed: {name!r} cannot be set. Make another one."
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Component) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.kind, self.name, self.target))

    def __repr__(self) -> str:
        return f"Component({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    @property
    def title(self) -> str:
        """The name with its kind in front, e.g. `attention/cbam`."""
        return f"{self.kind}/{self.name}"

    @property
    def origin(self) -> str:
        """Who brought it, for messages, e.g. `attn-zoo 0.1.0`."""
        if self.distribution is None:
            return "this process (zoo.register)"
        return f"{self.distribution} {self.version}"

    def brought_by(self, distribution: str, version: str, *, kind: str) -> Component:
        """The same component with its origin and kind, as discovery notes them."""
        origin = {"kind": kind, "distribution": distribution, "version": version}
        return Component(**{**vars(self), **origin})

    def load(self) -> Any:
        """Import and return the component's class.

        Raises:
            PluginError: The module cannot be imported, or has no such class.
        """
        if not isinstance(self.target, str):
            return self.target
        module, _, name = self.target.partition(":")
        try:
            found = getattr(importlib.import_module(module), name)
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"{self.title} of {self.origin} cannot be loaded from {self.target!r}: "
                f"{type(error).__name__}: {error}"
            ) from error
        if not isinstance(found, type):
            raise PluginError(
                f"{self.title} of {self.origin}: {self.target!r} is no class but {type(found).__name__}."
            )
        return found

    def default_input(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """The input block that a backbone asks for; empty if it asks for none.

        Args:
            name: Its name; of a name space the whole name of what is meant in it.
            options: Its options.

        Raises:
            PluginError: Its class cannot be loaded.
            UnknownName: There is none of that name in the name space.
        """
        cls = self.load()
        if not hasattr(cls, "default_input"):
            return {}
        space = {"architecture": name.partition("/")[2]} if "/" in name else {}
        asked: dict[str, Any] = cls.default_input(**space, **options)
        return asked

    def _check(self) -> None:
        if not isinstance(self.name, str) or not _NAME.match(self.name) or len(self.name) > 64:
            raise InvalidValue(
                f"Component name {self.name!r} is not of the form 'lower_case_2' (at most 64 characters)."
            )
        if isinstance(self.target, str) and not _TARGET.match(self.target):
            raise InvalidValue(
                f"Component {self.name!r}: target {self.target!r} is not of the form 'package.module:Class'."
            )
        if self.family is not None and self.family not in FAMILIES:
            raise InvalidValue(
                f"Component {self.name!r}: family {self.family!r} is none of {', '.join(FAMILIES)}."
            )
        several = isinstance(self.ndims, Collection) and not isinstance(self.ndims, str)
        if not several or not self.ndims or not set(self.ndims) <= {1, 2}:
            raise InvalidValue(
                f"Component {self.name!r}: ndims is {self.ndims!r}; give (1,), (2,) or (1, 2)."
            )

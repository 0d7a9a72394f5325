"""What the architecture says, held by the code: directions of imports, light modules, one list of names."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import zoo

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/__init__.py"))
FILES = sorted([*(ROOT / "zoo").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
HEAVY = (
    "torch",
    "timm",
    "safetensors",
    "PIL",
    "rich",
    "urllib3",
    "lightning",
    "numpy",
    "matplotlib",
    "obstore",
    "huggingface_hub",
)

# The layers, lowest first: a module imports from its own layer and those below, and no higher one.
LAYERS = [
    ["zoo.errors", "zoo.escaping", "zoo.files"],
    [
        "zoo.component",
        "zoo.distributions",
        "zoo.headers",
        "zoo.refs",
        "zoo.spec",
        "zoo.grammar",
        "zoo.transports",
    ],
    ["zoo.hookspecs"],
    ["zoo.plugins", "zoo.registry", "zoo.store"],
    ["zoo.serving", "zoo.blocks", "zoo.listing", "zoo.missing", "zoo.progress"],
    ["zoo.finding"],
    ["zoo.obtaining"],
    ["zoo.downloads"],
    ["zoo.composition", "zoo.weights", "zoo.inputs"],
    ["zoo.api"],
    ["zoo.train", "zoo.demo", "zoo.testing"],
    ["zoo.cli", "zoo.__main__"],
]
# [torch] in the tree, or loaded only by a step that needs them.
MAY_BE_HEAVY = (
    "composition",
    "weights.py",
    "inputs",
    "train",
    "testing",
    "demo",
    "store/connections.py",
)

pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").is_file(),
    reason="only a checkout has the sources beside the tests",
)


def module_name(path: Path) -> str:
    """The dotted name of a file of ours."""
    base = ROOT if path.is_relative_to(ROOT / "zoo") else ROOT / "plugins"
    parts = path.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, *, everywhere: bool = True) -> Iterator[str]:
    """The modules that a file imports: all of them, or only those at import (not for type checkers)."""
    stack: list[ast.AST] = [ast.parse(path.read_text())]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module_name(path).split(".")
            package = package if path.name == "__init__.py" else package[:-1]
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield start
            yield from (f"{start}.{alias.name}" for alias in node.names)
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if everywhere or not (lazy or typing):
            stack += ast.iter_child_nodes(node)


def layer(module: str) -> int | None:
    """The number of the layer of a module of the core."""
    for number, names in enumerate(LAYERS):
        if any(module == name or module.startswith(f"{name}.") for name in names):
            return number
    return None


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.is_relative_to(ROOT / "zoo")], ids=module_name
)
def test_the_core_imports_one_way_only(path: Path) -> None:
    """At import and in functions; what is for type checkers only may look up."""
    own = layer(module_name(path))
    if module_name(path) == "zoo":
        return  # the public names: each from its module, on first use
    assert own is not None, f"{module_name(path)} is in no layer: add it to LAYERS"
    at_import = set(imports(path, everywhere=False))
    above = {name for name in at_import if (layer(name) or 0) > own}
    assert above == set()
    assert not {name for name in imports(path) if name.startswith("zoo_")}, (
        "the core knows no plug-in"
    )


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.is_relative_to(ROOT / "plugins")], ids=module_name
)
def test_a_plugin_imports_only_public_names_and_itself(path: Path) -> None:
    """Never a sub-module of zoo, never a sibling; timm only in zoo_timm."""
    own = path.relative_to(ROOT / "plugins").parts[0]
    siblings = {folder.name for folder in PLUGINS} - {own}
    for name in imports(path):
        top = name.partition(".")[0]
        assert top not in siblings, f"{name}: a sibling"
        assert top != "timm" or own == "zoo_timm", "timm belongs to zoo_timm"
        if top == "zoo" and name != "zoo":
            assert name.removeprefix("zoo.") in zoo.__all__, f"{name} is not public"


def test_what_two_plugins_have_a_copy_of_is_the_same() -> None:
    """Siblings import nothing of each other, and zoo offers no arithmetic: what mends one copy mends both."""
    copies = [ROOT / "plugins" / name / "maxima.py" for name in ("zoo_attention", "zoo_pooling")]
    assert copies[0].read_text() == copies[1].read_text()


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_light_modules_import_nothing_heavy(path: Path) -> None:
    """The core apart from its [torch] parts, the command, and the hook module of each plug-in."""
    inside = path.relative_to(ROOT).parts
    if inside[0] == "zoo" and {inside[1], "/".join(inside[1:])} & set(MAY_BE_HEAVY):
        return
    if inside[0] == "plugins" and inside[2:] != ("__init__.py",):
        return
    heavy = {name for name in imports(path, everywhere=False) if name.partition(".")[0] in HEAVY}
    assert heavy == set()


@pytest.mark.parametrize(
    "statement", ["import zoo", "import zoo; zoo.list_variants(); zoo.list_components()"]
)
def test_listing_loads_nothing_heavy(statement: str) -> None:
    """In a fresh process."""
    program = f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_no_pickle_is_ever_loaded(path: Path) -> None:
    """Neither torch.load nor pickle itself, under any name."""
    tree = ast.parse(path.read_text())
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not calls & {"torch.load", "torch.jit.load", "load_state_dict_from_url"}
    modules = {name.partition(".")[0] for name in imports(path)}
    assert not modules & {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"}
    assert "torch.load" not in set(imports(path))


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_every_file_opens_by_saying_what_it_is(path: Path) -> None:
    """A docstring that begins with one sentence on one line."""
    text = ast.get_docstring(ast.parse(path.read_text()))
    if path.name == "__init__.py" and not path.read_text().strip():
        return
    assert text, f"{path} has no docstring"
    first = text.partition("\n")[0]
    assert first[-1] in ".:", f"{path}: {first!r}"


def test_the_public_names_are_listed_once_and_all_exist() -> None:
    """`__all__`, what a type checker sees, and what can be had are the same."""
    tree = ast.parse((ROOT / "zoo" / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {
        (node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    listed = {(module, name) for module, names in zoo._PUBLIC.items() for name in names}
    assert typed == listed
    assert sorted(name for _, name in listed) == zoo.__all__
    assert all(getattr(zoo, name) is not None for name in zoo.__all__)
    assert set(dir(zoo)) == {*zoo.__all__, "__version__"}


def test_no_public_name_is_hidden_by_a_module_of_that_name() -> None:
    """Importing zoo.spec must not turn zoo.spec into something else."""
    modules = {
        path.stem for path in (ROOT / "zoo").iterdir() if path.suffix == ".py" or path.is_dir()
    }
    assert modules.isdisjoint(zoo.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    """As in any module."""
    with pytest.raises(AttributeError, match="module 'zoo' has no attribute 'nothing'"):
        _ = zoo.nothing


def test_plugin_folders_packages_and_entry_points_are_the_same() -> None:
    """A plug-in that is forgotten in one of them works in a checkout and is missing in a wheel."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = {folder.name for folder in PLUGINS}
    assert project["project"]["entry-points"]["zoo"] == {name: name for name in folders}
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(packages) == {"zoo", *(f"plugins/{name}" for name in folders)}
    assert zoo.__version__ == project["project"]["version"]

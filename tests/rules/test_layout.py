"""Layout rules: every package says what it is and what it may import; folders stay small."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

from mail import ports
from tests.rules.test_tidy import LAYERS, imports, name_of
from tests.support import ROOT

FOLDER_MAX_FILES = 20
PACKAGES = sorted(
    init.parent for layer in LAYERS for init in (ROOT / layer).rglob("__init__.py")
)  # fmt: skip
DOCSTRING_LINES = range(3, 9)
PROTOCOLS = {"aiohttp", "aiosmtpd", "api", "pop3", "smtp"}  # edge/ is the ground of every server
PORT_MAX_METHODS = 10
PORT_MAX_EXCEPTIONS: set[str] = set()
PORTS = sorted(
    name for name in ports.__all__ if getattr(getattr(ports, name), "_is_protocol", False)
)
ADAPTER_LAYERS = ("stores", "scanners", "parsing", "resolving", "smtp", "streams")


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_a_package_says_what_it_is_and_what_it_may_import(package: Path) -> None:
    text = (package / "__init__.py").read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text)) or ""
    lines = docstring.splitlines()
    assert len(lines) in DOCSTRING_LINES, docstring
    assert any(line.startswith("May import: ") for line in lines), docstring


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_a_folder_has_at_most_twenty_files(package: Path) -> None:
    files = [path for path in package.iterdir() if path.is_file() and path.name != "__init__.py"]
    assert len(files) <= FOLDER_MAX_FILES, sorted(path.name for path in files)


def test_every_folder_of_sources_is_a_package() -> None:
    folders = {path.parent for layer in LAYERS for path in (ROOT / layer).rglob("*.py")}
    assert folders == set(PACKAGES)


def test_a_port_has_at_most_ten_methods() -> None:
    sizes = {name: len(own_methods(getattr(ports, name))) for name in PORTS}
    large = {name for name, size in sizes.items() if size > PORT_MAX_METHODS}
    assert large == PORT_MAX_EXCEPTIONS


def test_a_port_has_a_contract_suite() -> None:
    """Compositions such as Directory have no methods of their own and need no suite."""
    contracts = {name for path in python_files("tests/contracts") for name in classes(path)}
    cut = [name for name in PORTS if own_methods(getattr(ports, name))]
    assert [name for name in cut if f"{name}Contract" not in contracts] == []


def test_an_adapter_is_held_to_the_contract_of_its_port() -> None:
    """`class TestAdapter(PortContract)` somewhere in tests; a contract may inherit others."""
    bases: dict[str, set[str]] = {}
    for path in python_files("tests"):
        for name, node in classes(path).items():
            bases.setdefault(name, set()).update(ast.unparse(base) for base in node.bases)
    missing = [
        f"{adapter}: {port}"
        for adapter, port in adapters()
        if f"{port}Contract" not in ancestors(f"Test{adapter}", bases)
    ]
    assert missing == []


def adapters() -> list[tuple[str, str]]:
    """Every class of the adapter layers with each port that it implements."""
    protocols = {getattr(ports, name): name for name in PORTS}
    pairs = set()
    for layer in ADAPTER_LAYERS:
        for path in python_files(layer):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for name in classes(path):
                kind = getattr(importlib.import_module(module), name, None)
                for base in inspect.getmro(kind)[1:] if inspect.isclass(kind) else ():
                    if base in protocols and own_methods(base):
                        pairs.add((name, protocols[base]))
    return sorted(pairs)


def ancestors(name: str, bases: dict[str, set[str]]) -> set[str]:
    direct = bases.get(name, set())
    return direct.union(*(ancestors(base, bases) for base in direct))


def own_methods(kind: type) -> list[str]:
    return [name for name in vars(kind) if not name.startswith("_")]


def classes(path: Path) -> dict[str, ast.ClassDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def test_edge_is_free_of_protocols() -> None:
    users = [path for path in (ROOT / "edge").rglob("*.py") if PROTOCOLS & set(imports(path))]
    assert users == []


def test_a_class_name_has_one_meaning_in_the_whole_tree() -> None:
    places: dict[str, list[str]] = {}
    for layer in LAYERS:
        for path in python_files(layer):
            for name in classes(path):
                places.setdefault(name, []).append(name_of(path))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}

"""Layout rules: every package says what it is and what it may import; folders stay small."""

import ast
from pathlib import Path

import pytest

from tests.rules.test_tidy import LAYERS, name_of
from tests.support import ROOT

FOLDER_MAX_FILES = 20
PACKAGES = sorted(
    init.parent for layer in LAYERS for init in (ROOT / layer).rglob("__init__.py")
)  # fmt: skip
DOCSTRING_LINES = range(3, 9)


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

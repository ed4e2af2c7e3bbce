"""Sizes of the files of the webmail, as they are sent: gzip at level 9."""

import re
from pathlib import Path

from api.webmail.file_tree import FileTree, first_modules, read_tree

EDITOR = "vendor/editor.js"  # loaded with the composer only


def sizes(libraries: Path) -> dict[str, float | None]:
    """Return KB (1024 octets) by figure, and the number of modules of the first screen.

    None: there are no such files.
    """
    tree = read_tree(libraries)
    first = first_modules({name: file.body for name, file in tree.files.items()})
    sheets = re.findall(rb'rel="stylesheet" href="/web/[^/]+/([^"]+)"', tree.index.body)
    return {
        "js_kb": _kb(tree, first),
        "modules": len(first),
        "composer_kb": _kb(tree, [*_later(tree, "compose/", first), EDITOR]),
        "settings_kb": _kb(tree, _later(tree, "settings/", first)),
        "admin_kb": _kb(tree, _later(tree, "admin/", first)),
        "css_kb": _kb(tree, [name.decode() for name in sheets]),
        "page_kb": round(len(tree.index.packed or tree.index.body) / 1024, 1),
        "words_kb": _kb(tree, ["words.en.json"]),
    }


def _later(tree: FileTree, folder: str, first: list[str]) -> list[str]:
    names = (name for name in tree.files if name.startswith(folder) and name.endswith(".js"))
    return [name for name in names if name not in first]


def _kb(tree: FileTree, names: list[str]) -> float | None:
    files = [tree.files[name] for name in names]
    return round(sum(len(file.packed or file.body) for file in files) / 1024, 1) or None

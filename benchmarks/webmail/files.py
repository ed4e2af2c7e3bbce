"""Sizes of the files of the webmail, as they are sent: gzip at level 9."""

import gzip
import re
from pathlib import Path

from api.webmail.file_tree import LEVEL, FileTree, read_tree


def sizes(libraries: Path) -> dict[str, float | None]:
    """Return KB (1024 octets) by figure, and the number of scripts of the first screen.

    None: there are no such files.
    """
    tree = read_tree(libraries)
    first = _named(tree, "js")
    before, style, after = re.split(b"<style>|</style>", tree.index.body)
    return {
        "js_kb": _kb(tree, first),
        "modules": len(first),
        "composer_kb": _kb(tree, ["compose.js", "vendor/editor.js"]),
        "settings_kb": _kb(tree, ["settings.js"]),
        "admin_kb": _kb(tree, ["admin.js"]),
        "css_kb": _packed_kb(style),
        "page_kb": _packed_kb(before + after),
        "words_kb": _kb(tree, ["words.en.json"]),
    }


def _packed_kb(body: bytes) -> float:
    return round(len(gzip.compress(body, LEVEL)) / 1024, 1)


def _named(tree: FileTree, suffix: str) -> list[str]:
    """The files that the page names."""
    return re.findall(rf'"/web/[^/"]+/([^"]+\.{suffix})"', tree.index.body.decode())


def _kb(tree: FileTree, names: list[str]) -> float | None:
    files = [tree.files[name] for name in names]
    return round(sum(len(file.packed or file.body) for file in files) / 1024, 1) or None

"""Inputs that provoke backtracking: characters of a pattern repeated, and ends that do not match.

The parser of `re` takes a pattern apart. Each literal or character class gives one character that
it accepts.
"""

import ast
import importlib
import pkgutil
import re
import re._constants as sre
import re._parser as parser
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, permutations
from types import ModuleType
from typing import Any

from tests.support import ROOT

_METHODS = frozenset({
    "match", "fullmatch", "search", "finditer", "findall", "sub", "subn", "split",
})  # fmt: skip
_CATEGORIES = {
    sre.CATEGORY_SPACE: " ", sre.CATEGORY_DIGIT: "0", sre.CATEGORY_WORD: "a",
    sre.CATEGORY_NOT_SPACE: "a", sre.CATEGORY_NOT_DIGIT: "a", sre.CATEGORY_NOT_WORD: "-",
}  # fmt: skip
_ATOMS_MAX = 8


@dataclass(frozen=True)
class ModulePattern:
    """A pattern that is a global of a module, and the methods that the code calls on it."""

    name: str
    pattern: re.Pattern[Any]
    methods: tuple[str, ...]


def patterns(*packages: str) -> list[ModulePattern]:
    """Return all patterns that are globals of modules in `packages`, alone or in a collection."""
    patterns: dict[int, ModulePattern] = {}
    used = _methods_used(packages)
    for module in chain.from_iterable(map(_modules, packages)):
        for name, value in vars(module).items():
            for pattern in _patterns_in(value):
                where = module.__name__ if name.startswith("_") else ""
                methods = tuple(sorted(used.get((where, name), ()))) or ("match", "search")
                named = ModulePattern(f"{module.__name__}.{name}", pattern, methods)
                patterns.setdefault(id(pattern), named)
    return sorted(patterns.values(), key=lambda named: named.name)


def _modules(package: str) -> Iterator[ModuleType]:
    root = importlib.import_module(package)
    yield root
    for module in pkgutil.walk_packages(root.__path__, f"{package}."):
        if not module.name.endswith("__main__"):
            yield importlib.import_module(module.name)


def _patterns_in(value: object) -> list[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        return [value]
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple | list | frozenset | set):
        return [item for item in value if isinstance(item, re.Pattern)]
    return []


def _methods_used(packages: tuple[str, ...]) -> dict[tuple[str, str], set[str]]:
    """Return the methods called on a pattern, by module and variable; module "": in any module."""
    used: dict[tuple[str, str], set[str]] = {}
    for path in chain.from_iterable((ROOT / package).rglob("*.py") for package in packages):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in _METHODS:
                name = node.value
                if isinstance(name, ast.Name):
                    used.setdefault((module, name.id), set()).add(node.attr)
                    used.setdefault(("", name.id), set()).add(node.attr)
    return used


def pumps(pattern: re.Pattern[Any]) -> list[tuple[str, str, str]]:
    """Return triples of a start, a text to repeat, and an end."""
    tree = parser.parse(_text(pattern.pattern), pattern.flags & ~re.DEBUG)
    whole = _sample(tree)
    atoms = list(dict.fromkeys(filter(None, _atoms(tree))))[:_ATOMS_MAX]
    repeated = [*atoms, whole, whole[:-1], *("".join(two) for two in permutations(atoms[:4], 2))]
    starts = dict.fromkeys(["", whole, whole[: len(whole) // 2], whole[:1]])
    ends = ["", "\x00"]
    return [(start, pump, end) for start in starts for pump in repeated if pump for end in ends]


def _text(pattern: str | bytes) -> str:
    return pattern if isinstance(pattern, str) else pattern.decode("latin-1")


def _atoms(tree: Any) -> Iterator[str]:
    for op, argument in tree:
        if op in (sre.LITERAL, sre.NOT_LITERAL, sre.IN, sre.ANY):
            yield _accepted(op, argument)
        elif op is sre.BRANCH:
            for branch in argument[1]:
                yield from _atoms(branch)
        elif isinstance(argument, tuple) and argument and hasattr(argument[-1], "data"):
            yield from _atoms(argument[-1])


def _sample(tree: Any) -> str:
    """Return a string that the pattern is likely to match, with the fewest repetitions, or one."""
    pieces = []
    for op, argument in tree:
        if op in (sre.LITERAL, sre.NOT_LITERAL, sre.IN, sre.ANY):
            pieces.append(_accepted(op, argument))
        elif op is sre.BRANCH:
            pieces.append(_sample(argument[1][0]))
        elif op is sre.SUBPATTERN or op is sre.ATOMIC_GROUP:
            pieces.append(_sample(argument[-1] if isinstance(argument, tuple) else argument))
        elif op in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            pieces.append(_sample(argument[-1]) * max(1, min(argument[0], 4)))
    return "".join(pieces)


def _accepted(op: Any, argument: Any) -> str:
    if op is sre.LITERAL:
        return chr(argument)
    if op is sre.ANY:
        return "a"
    if op is sre.NOT_LITERAL:
        return "a" if argument != ord("a") else "b"
    if argument[0][0] is sre.NEGATE:
        return next(
            (character for character in "a0 -\n" if not _is_in(character, argument[1:])), ""
        )
    kind, what = argument[0]
    if kind is sre.CATEGORY:
        return _CATEGORIES.get(what, "a")
    return chr(what if kind is sre.LITERAL else what[0])


def _is_in(character: str, items: Any) -> bool:
    return any(
        (kind is sre.LITERAL and ord(character) == what)
        or (kind is sre.RANGE and what[0] <= ord(character) <= what[1])
        or (kind is sre.CATEGORY and _CATEGORIES.get(what) == character)
        for kind, what in items
    )

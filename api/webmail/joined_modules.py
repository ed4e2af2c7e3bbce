"""Join the modules of the webmail into few files: every file costs a browser more than its octets.

What the first screen imports is one file; of the others each folder is one, `mail.js` for `mail/`.
A module becomes a function with the same lines, so that modules do not see each other's names:

    export const $list_rows = (() => { // list/rows.js
    const { signal } = $vendor_preact; // import { signal } from "../vendor/preact.js";
    const PAGE = 100; // export const PAGE = 100;
    return { PAGE }; })();

For that, an import is a line and an export begins one, each in one form, nothing is assigned to an
export, modules import each other in no circle, and `import.meta` is of the upper folder only.
"""

import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

LIBRARIES = "vendor/"  # stay files of their own
MAP = ".map"  # ends the name of a source map
_IMPORT = re.compile(r'import \{ (?P<names>[\w$, ]+) \} from "(?P<path>\.[^"]+)";')
_EXPORT = re.compile(r"^export (?=(?:const|class|function|async function) (?P<name>[\w$]+))")
_LATER = re.compile(r'\bimport\("(\.[^"]+)"\)')
_OTHER = re.compile(r'^(?:import|export)\b(?!\()|\bimport\((?!"\.)')
_AWAIT = re.compile(r"^await\b", re.MULTILINE)


class NotJoinable(ValueError):
    """A module breaks a rule of the files of the webmail."""


@dataclass(frozen=True, slots=True)
class Module:
    """One module: `name` is its path in the tree, `imports` has the names taken of each module."""

    name: str
    text: str
    imports: dict[str, list[str]]
    exports: list[str]


def joined(bodies: Mapping[str, bytes], first: str, first_file: str) -> dict[str, bytes]:
    """Return files, each with its source map, in place of `bodies`, all of our modules.

    `first` and what it imports are in `first_file`. Raises NotJoinable.
    """
    modules = {name: _module(name, body.decode()) for name, body in bodies.items()}
    _check_names(modules)
    early = _needed(modules, first)
    places = {name: first_file if name in early else file_of(name) for name in modules}
    files: dict[str, list[Module]] = {}
    for name in _in_order({name: module.imports for name, module in modules.items()}):
        if name in modules:
            files.setdefault(places[name], []).append(modules[name])
    _in_order({file: _files_of_imports(own, places) - {file} for file, own in files.items()})
    made: dict[str, bytes] = {}
    for file, own in files.items():
        made[file], made[file + MAP] = _file(file, own, places)
    return made


def file_of(name: str) -> str:
    """The file of a module that the first screen does not import."""
    return name.split("/", maxsplit=1)[0].removesuffix(".js") + ".js"


def variable_of(name: str) -> str:
    """The variable of a module in its file, an object with what the module exports."""
    return "$" + re.sub(r"\W", "_", name.removesuffix(".js"))


def _module(name: str, text: str) -> Module:
    imports: dict[str, list[str]] = {}
    exports = []
    for line in text.split("\n"):
        if taken := _IMPORT.fullmatch(line):
            imports[_path(name, taken["path"])] = taken["names"].split(", ")
        elif given := _EXPORT.match(line):
            exports.append(given["name"])
        elif _OTHER.search(line) or ("import.meta" in line and "/" in name):
            raise NotJoinable(f"{name}: {line[:100]}")
    return Module(name, text, imports, exports)


def _path(importer: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(importer), path))


def _check_names(modules: Mapping[str, Module]) -> None:
    for module in modules.values():
        for name, taken in module.imports.items():
            if name.startswith(LIBRARIES):
                continue
            known = set(modules[name].exports) if name in modules else set()
            if lost := {one.split(" as ")[0] for one in taken} - known:
                raise NotJoinable(f"{module.name}: {name} does not export {', '.join(lost)}")


def _needed(modules: Mapping[str, Module], first: str) -> set[str]:
    """The module `first` and all that it imports, directly or not."""
    found, waiting = {first}, [first]
    while waiting:
        new = {name for name in modules[waiting.pop()].imports if name in modules} - found
        found |= new
        waiting += new
    return found


def _in_order(imports: Mapping[str, Iterable[str]]) -> list[str]:
    """The names of modules, or of files, with those that they import before them."""
    try:
        return list(TopologicalSorter(imports).static_order())
    except CycleError as error:
        raise NotJoinable(f"they import each other: {' '.join(error.args[1])}") from error


def _files_of_imports(own: Iterable[Module], places: Mapping[str, str]) -> set[str]:
    return {places.get(name, name) for module in own for name in module.imports}


def _file(file: str, own: list[Module], places: Mapping[str, str]) -> tuple[bytes, bytes]:
    """The file of the modules `own`, and its source map."""
    inside = {module.name for module in own}
    outside = dict.fromkeys(name for module in own for name in module.imports if name not in inside)
    lines = [_outside(name, places) for name in outside]
    sections = []
    for module in own:
        keyword = "await (async () => {" if _AWAIT.search(module.text) else "(() => {"
        lines.append(f"export const {variable_of(module.name)} = {keyword} // {module.name}")
        sections.append(_section(module, len(lines)))
        lines += [_line(line, module.name, places) for line in module.text.split("\n")]
        lines.append(f"return {{ {', '.join(module.exports)} }}; }})();")
    lines.append(f"//# sourceMappingURL={file}{MAP}\n")
    table = {"version": 3, "sections": sections}
    return "\n".join(lines).encode(), json.dumps(table, ensure_ascii=False).encode()


def _outside(name: str, places: Mapping[str, str]) -> str:
    what = f"{{ {variable_of(name)} }}" if name in places else f"* as {variable_of(name)}"
    return f'import {what} from "./{places.get(name, name)}";'


def _line(line: str, importer: str, places: Mapping[str, str]) -> str:
    if taken := _IMPORT.fullmatch(line):
        names = taken["names"].replace(" as ", ": ")
        return f"const {{ {names} }} = {variable_of(_path(importer, taken['path']))};"
    return _LATER.sub(
        lambda match: _later(_path(importer, match[1]), places), _EXPORT.sub("", line)
    )


def _later(name: str, places: Mapping[str, str]) -> str:
    if name.startswith(LIBRARIES):
        return f'import("./{name}")'
    return f'import("./{places.get(name, file_of(name))}").then((file) => file.{variable_of(name)})'


def _section(module: Module, line: int) -> dict[str, object]:
    """The part of an index map for the lines of a module, which begin at `line` of its file."""
    count = module.text.count("\n") + 1
    table = {
        "version": 3,
        "sources": [module.name],
        "sourcesContent": [module.text],
        "names": [],
        "mappings": ";".join(["AAAA"] + ["AACA"] * (count - 1)),
    }
    return {"offset": {"line": line, "column": 0}, "map": table}

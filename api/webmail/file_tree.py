"""The files of the webmail, read and packed once at start, under an address with their hash.

The hash is of all files, so an address never has another content: browsers keep the files for a
year and ask again for no file of a version that they have. Modules import each other by relative
path, so no module is rewritten. Style sheets and icons of the first screen come as one file
each: every file costs a browser more than its octets.
"""

import gzip
import hashlib
import json
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
ADMIN_FOLDER = "admin"
FIRST_MODULE = "shell/app.js"
FIRST_SHEET = "css/first.css"
WORKER = "sw.js"  # a template, as the page is
HASH_CHARS = 12
LEVEL = 9
LEAST_BYTES = 256  # below it a packed body is hardly smaller
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
ICONS = "vendor/icons.svg"  # symbols in the page: one that is shown needs no request
VENDOR_FILES = ("preact.js", "editor.js", "icons.svg", "licences.txt")  # of web-vendor/
NOT_KEPT = (f"{ADMIN_FOLDER}/", "vendor/licences.txt")  # of no use without the service
_STATIC_IMPORT = re.compile(
    r"^(?:import|export)\b[^\"';]*\bfrom\s*\"(\.[^\"]+)\"|^import \"(\.[^\"]+)\"", re.MULTILINE
)
_SHEET = re.compile(rb'<link rel="stylesheet" href="{{web}}/(css/[^"]+)">\n')


class WebmailNotInstalled(Exception):
    """Libraries of the webmail are missing; `make run` fetches them."""


@dataclass(frozen=True, slots=True)
class StaticFile:
    body: bytes
    packed: bytes | None  # gzip; None: not smaller
    content_type: str


@dataclass(frozen=True, slots=True)
class FileTree:
    """`files` by path below the hash; `index` is the page for every address of the webmail.

    `worker` is the service worker, which keeps the page and the files of this version.
    """

    version: str
    files: dict[str, StaticFile]
    index: StaticFile
    worker: StaticFile


def read_tree(vendor: Path, assets: Path = ASSETS, *, without: str = "") -> FileTree:
    """Read the files of the webmail, but for the folder `without`.

    Raises WebmailNotInstalled: `vendor` lacks a library.
    """
    bodies = {
        path.relative_to(assets).as_posix(): path.read_bytes()
        for path in sorted(assets.rglob("*"))
        if path.is_file() and path.parent != assets / (without or "/")
    }
    for name in VENDOR_FILES:
        try:
            bodies[f"vendor/{name}"] = (vendor / name).read_bytes()
        except OSError as error:
            raise WebmailNotInstalled(f"{vendor / name}: {error.strerror}") from error
    version = _hash(bodies)
    template = bodies.pop(WORKER)
    icons = bodies.pop(ICONS).replace(b'<symbol id="', b'<symbol id="icon-')
    page = bodies.pop("index.html").replace(b"<!-- icons -->", icons)
    index = _index(_with_one_sheet(page, bodies), version, bodies)
    return FileTree(
        version=version,
        files={name: _file(name, body) for name, body in bodies.items()},
        index=_file("index.html", index),
        worker=_file(WORKER, _worker(template, version, bodies)),
    )


def first_modules(bodies: dict[str, bytes], first: str = FIRST_MODULE) -> list[str]:
    """The modules that `first` imports statically, directly or not, `first` included."""
    found, waiting = [first], [first]
    while waiting:
        name = waiting.pop()
        text = bodies[name].decode()
        for match in _STATIC_IMPORT.finditer(text):
            path = match[1] or match[2]
            imported = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
            if imported not in found:
                found.append(imported)
                waiting.append(imported)
    return found


def _hash(bodies: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, body in sorted(bodies.items()):
        digest.update(f"{name}\0{len(body)}\0".encode() + body)
    return digest.hexdigest()[:HASH_CHARS]


def _with_one_sheet(page: bytes, bodies: dict[str, bytes]) -> bytes:
    """The page with one style sheet, which has the rules of its sheets in their order."""
    names = [name.decode() for name in _SHEET.findall(page)]
    bodies[FIRST_SHEET] = b"".join(bodies.pop(name) for name in names)
    link = f'<link rel="stylesheet" href="{{{{web}}}}/{FIRST_SHEET}">\n<!-- modules -->'
    return _SHEET.sub(b"", page).replace(b"<!-- modules -->", link.encode())


def _index(template: bytes, version: str, bodies: dict[str, bytes]) -> bytes:
    """The page with its version and a preload for each module, so that they come at once."""
    preloads = "\n".join(
        f'<link rel="modulepreload" href="/web/{version}/{name}">'
        for name in first_modules(bodies)
        if name != FIRST_MODULE
    )
    text = template.decode().replace("<!-- modules -->", preloads)
    return text.replace("{{web}}", f"/web/{version}").encode()


def _worker(template: bytes, version: str, bodies: dict[str, bytes]) -> bytes:
    """The service worker with its version and the names of the files that it keeps."""
    names = " ".join(name for name in sorted(bodies) if not name.startswith(NOT_KEPT))
    text = template.decode().replace("{{version}}", version)
    return text.replace("{{files}}", names).encode()


def _file(name: str, body: bytes) -> StaticFile:
    if name.endswith(".json"):
        body = json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":")).encode()
    packed = gzip.compress(body, LEVEL, mtime=0)
    return StaticFile(
        body=body,
        packed=packed if len(body) > LEAST_BYTES and len(packed) < len(body) else None,
        content_type=TYPES[Path(name).suffix],
    )

"""The files of the webmail, read and packed once at start, under an address with their hash.

The hash is of all files, so an address never has another content: browsers keep the files for a
year and ask again for no file of a version that they have. Modules of the first screen are one
file, and its style sheets and icons are in the page: every file costs a browser more than its
octets, and a page whose styles come later may be laid out twice.
"""

import base64
import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from api.webmail.joined_modules import LIBRARIES, MAP, joined

ASSETS = Path(__file__).parent / "assets"
ADMIN_FOLDER = "admin"
FIRST_MODULE = "shell/app.js"
FIRST_FILE = "first.js"
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
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    MAP: "application/json",
}
ICONS = f"{LIBRARIES}icons.svg"
MARK = "brand.svg"
VENDOR_FILES = ("preact.js", "editor.js", "icons.svg", "licences.txt")  # of web-vendor/
NOT_KEPT = (ADMIN_FOLDER, f"{LIBRARIES}licences.txt")  # of no use without the service
_IMPORT = re.compile(r'^import [^"\n]+"\./([^"\n]+)";$', re.MULTILINE)
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

    `style_sha256`, in base64, is of the style sheet in the page, which its policy allows alone.
    `worker` is the service worker, which keeps the page and the files of this version.
    """

    version: str
    files: dict[str, StaticFile]
    index: StaticFile
    style_sha256: str
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
    worker = bodies.pop(WORKER)
    own = {name: bodies.pop(name) for name in list(bodies) if name.endswith(".js")}
    bodies |= joined(own, FIRST_MODULE, FIRST_FILE)
    bodies |= {f"{LIBRARIES}{name}": _library(vendor / name) for name in VENDOR_FILES}
    page = bodies.pop("index.html").replace(b"<!-- icons -->", _symbols(bodies))
    page, style = _with_sheet(page, bodies)
    version = _hash({**bodies, "": page, WORKER: worker})
    return FileTree(
        version=version,
        files={name: _file(name, body) for name, body in bodies.items()},
        index=_file("index.html", _index(page, version, bodies)),
        style_sha256=base64.b64encode(hashlib.sha256(style).digest()).decode(),
        worker=_file(WORKER, _worker(worker, version, bodies)),
    )


def _library(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WebmailNotInstalled(f"{path}: {error.strerror}") from error


def _hash(bodies: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, body in sorted(bodies.items()):
        digest.update(f"{name}\0{len(body)}\0".encode() + body)
    return digest.hexdigest()[:HASH_CHARS]


def _with_sheet(page: bytes, bodies: dict[str, bytes]) -> tuple[bytes, bytes]:
    """The page with the rules of its sheets, in their order, in an element; and these rules."""
    names = [name.decode() for name in _SHEET.findall(page)]
    style = b"\n" + b"".join(bodies.pop(name) for name in names)
    page = _SHEET.sub(b"", page)
    return page.replace(b"<!-- styles -->", b"<style>" + style + b"</style>"), style


def _symbols(bodies: dict[str, bytes]) -> bytes:
    """The icons and the mark of the page as symbols, which are shown without a request."""
    icons = bodies.pop(ICONS).replace(b'<symbol id="', b'<symbol id="icon-')
    mark = bodies[MARK].strip().replace(b"<svg", b'<symbol id="icon-brand"')
    return icons.replace(b"</svg>", mark.replace(b"</svg>", b"</symbol></svg>"))


def _index(page: bytes, version: str, bodies: dict[str, bytes]) -> bytes:
    """The page with its version, and a preload of what its script imports."""
    preloads = "\n".join(
        f'<link rel="modulepreload" href="{{{{web}}}}/{name}">'
        for name in _IMPORT.findall(bodies[FIRST_FILE].decode())
    )
    text = page.decode().replace("<!-- modules -->", preloads)
    return text.replace("{{web}}", f"/web/{version}").encode()


def _worker(template: bytes, version: str, bodies: dict[str, bytes]) -> bytes:
    """The service worker with its version and the names of the files that it keeps."""
    names = " ".join(
        name for name in sorted(bodies) if not name.startswith(NOT_KEPT) and not name.endswith(MAP)
    )
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

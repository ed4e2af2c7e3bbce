"""Files of the webmail: their addresses, headers and sizes; words in every language."""

import base64
import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from api.config import ApiConfig
from api.webmail.file_tree import (
    ADMIN_FOLDER,
    ASSETS,
    FIRST_FILE,
    VENDOR_FILES,
    FileTree,
    read_tree,
)
from tests.support.edge_world import World

SOURCES = sorted(path for path in ASSETS.rglob("*") if path.suffix in {".js", ".css", ".html"})
LANGUAGES = ("en", "ko")
SCRIPTS_MAX = 2  # of the first screen
SCRIPT_MAX = 70 * 1024  # octets in gzip, as those below
STYLE_MAX, REST_MAX = 14 * 1024, 6 * 1024  # of the page
LATER_MAX = {("compose.js", "vendor/editor.js"): 45 * 1024, ("settings.js",): 10 * 1024}


@pytest.fixture(scope="module")
def tree() -> FileTree:
    return read_tree(ApiConfig().webmail_libraries)


def first_files(tree: FileTree, suffix: str) -> list[str]:
    """The files of a kind that the page names."""
    return re.findall(
        rf'"/web/{tree.version}/([^"]+{re.escape(suffix)})"', tree.index.body.decode()
    )


def packed(tree: FileTree, name: str) -> int:
    file = tree.files[name]
    return len(file.packed or file.body)


async def test_files_have_the_address_of_their_version_and_are_kept(world: World, tree) -> None:
    client = world.client(**{"Accept-Encoding": "gzip"})
    async with client.get("/mail/inbox") as response:
        page, etag = await response.text(), response.headers["ETag"]
        assert response.headers["Cache-Control"] == "no-cache"
        csp = response.headers["Content-Security-Policy"]
    assert "require-trusted-types-for 'script'" in csp
    assert "unsafe" not in csp
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'self' 'sha256-{digest}';" in csp
    async with client.get("/", headers={"If-None-Match": etag}) as response:
        assert response.status == 304
    addresses = re.findall(r'(?:href|src)="(/web/[^"]+)"', page)
    assert f"/web/{tree.version}/{FIRST_FILE}" in addresses
    for address in addresses:
        async with client.get(address) as response:
            assert response.status == 200
            assert "immutable" in response.headers["Cache-Control"]
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            body = await response.read()
        name = address.removeprefix(f"/web/{tree.version}/")
        assert body == tree.files[name].body
    plain = world.client(**{"Accept-Encoding": "identity"})
    async with plain.get(f"/web/{tree.version}/{FIRST_FILE}") as response:
        assert "Content-Encoding" not in response.headers
    for unknown in (f"/web/000000000000/{FIRST_FILE}", f"/web/{tree.version}/nothing.js"):
        async with client.get(unknown) as response:
            assert response.status == 404


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko"), ("en-GB", "en"), ("fr, KO;q=0.5, en", "ko"),
        ("", "en"), ("*", "en"), ("k, ,", "en"),
    ],
)  # fmt: skip
async def test_the_words_of_the_browsers_language_are_preloaded(
    world: World, tree, accepted, language
) -> None:
    async with world.client(**{"Accept-Language": accepted}).get("/") as response:
        link = response.headers["Link"]
    words = f"/web/{tree.version}/words.{language}.json"
    assert link == f"<{words}>; rel=preload; as=fetch; crossorigin"
    assert words.rpartition("/")[2] in tree.files


async def test_the_worker_keeps_the_files_of_its_version(world: World, tree) -> None:
    async with world.client().get("/sw.js") as response:
        text = await response.text()
        assert response.headers["Cache-Control"] == "no-cache"
        assert response.headers["Content-Type"].startswith("text/javascript")
        csp = response.headers["Content-Security-Policy"]
    assert "connect-src 'self'" in csp
    assert "script-src" not in csp, "it imports no other script"
    assert f'VERSION = "{tree.version}"' in text
    (names,) = re.findall(r'FILES = "([^"]+)"', text)
    assert set(first_files(tree, ".js")) <= set(names.split()) <= set(tree.files)


async def test_without_its_libraries_the_page_says_so(tmp_path: Path) -> None:
    world = World(config=ApiConfig(port=0, webmail_libraries=tmp_path))
    await world.open()
    async with world.client().get("/") as response:
        assert response.status == 503
    async with world.client().get("/healthz") as response:
        assert response.status == 200
    await world.close()


def test_the_first_screen_is_small(tree: FileTree) -> None:
    assert len(first_files(tree, ".js")) <= SCRIPTS_MAX
    assert 0 < sum(packed(tree, name) for name in first_files(tree, ".js")) <= SCRIPT_MAX
    assert first_files(tree, ".css") == []
    before, style, after = re.split(b"<style>|</style>", tree.index.body)
    assert 0 < len(gzip.compress(style)) <= STYLE_MAX
    assert 0 < len(gzip.compress(before + after)) <= REST_MAX  # with the icons
    assert all(packed(tree, f"words.{language}.json") <= 6 * 1024 for language in LANGUAGES)


def test_the_pages_of_operators_are_small_and_loaded_for_them_only(tree: FileTree) -> None:
    own = [name for name in tree.files if name.startswith(("admin", "css/admin"))]
    code = [name for name in own if not name.endswith(".map") and ".ko." not in name]
    assert sum(packed(tree, name) for name in code) <= 20 * 1024
    assert not set(first_files(tree, "")) & set(own)
    without = read_tree(ApiConfig().webmail_libraries, without=ADMIN_FOLDER)
    assert not [name for name in without.files if name.startswith("admin")]


def test_what_is_loaded_later_is_small(tree: FileTree) -> None:
    for names, limit in LATER_MAX.items():
        assert sum(packed(tree, name) for name in names) <= limit, names


def test_every_import_and_every_icon_is_there(tree: FileTree) -> None:
    symbols = set(re.findall(r'<symbol id="icon-([^"]+)"', tree.index.body.decode()))
    for path in SOURCES:
        text = path.read_text()
        for match in re.finditer(r'(?:from |import\()"(\.[^"]+)"', text):
            assert (path.parent / match[1]).exists() or Path(match[1]).name in VENDOR_FILES
        used = re.findall(r'\bicon(?:: |=|\()"([a-z0-9-]+)"', text)
        used += re.findall(r'<\$\{Icon\} name="([a-z0-9-]+)"', text)
        assert set(used) <= symbols, path


def test_the_page_makes_no_markup_of_text_and_asks_nobody_else() -> None:
    for path in SOURCES:
        text = path.read_text()
        assert not re.search(r"(src|href|url)\s*[=(]\s*[\"'`]?(https?:)?//", text), path
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)


def test_every_word_is_there_in_every_language() -> None:
    words = {name: _words(name) for name in LANGUAGES}
    assert set(words["en"]) == set(words["ko"])
    for key, text in words["en"].items():
        for language in LANGUAGES:
            assert _slots(text) == _slots(words[language][key]), (language, key)
    source = "\n".join(path.read_text() for path in SOURCES)
    used = set(re.findall(r'\bt\("([\w.]+)"', source))
    prefixes = set(re.findall(r"`([a-zA-Z.]+\.)\$\{", source)) - {"words."}
    assert used <= set(words["en"])
    for key in words["en"]:
        assert key in source or key.startswith(tuple(prefixes)), f"{key} is not used"
    for prefix in prefixes:
        assert any(key.startswith(prefix) for key in words["en"]), prefix


def _words(language: str) -> dict:
    """The words of all screens and of parts with words of their own, each there once."""
    found: dict = {}
    for path in sorted(ASSETS.rglob(f"words.{language}.json")):
        own = json.loads(path.read_text())
        assert not found.keys() & own.keys(), path
        found |= own
    return found


def _slots(text: str | dict[str, str]) -> set[str]:
    """Names in braces; a plural form may leave out its number."""
    texts = text.values() if isinstance(text, dict) else [text]
    found = {slot for one in texts for slot in re.findall(r"\{(\w+)\}", one)}
    return found - {"n"} if isinstance(text, dict) else found

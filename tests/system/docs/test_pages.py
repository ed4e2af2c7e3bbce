"""The documents hold together: links, commands and settings are those that there are."""

import re
from functools import cache

import click
import pytest

from api.routes import ROUTES
from cli.config.config import KNOWN_SETTINGS, load
from cli.main import postriver
from tests.system.docs.pages import (
    PAGES,
    ROOT,
    anchors,
    blocks,
    code,
    links,
    name_of,
    shell_commands,
)

LANGUAGES = {"sh", "text", "python", "diff", "json", "mermaid", "haproxy", "nginx"}
NOT_FOR_OPERATORS = {
    # set for Postriver's own processes:
    "POSTRIVER_SMTP_FDS", "POSTRIVER_HTTP_FDS", "POSTRIVER_SUBMISSION_FDS",
    "POSTRIVER_SUBMISSIONS_FDS", "POSTRIVER_POP3_FDS", "POSTRIVER_POP3S_FDS",
    "POSTRIVER_CHECKOUT",  # set by scripts/ for themselves
}  # fmt: skip
CALLED = re.compile(r"(?:[A-Z0-9_]+=\S+ )*(?:\S*bin/)?postriver (.*)")
PATH = re.compile(  # of the project; state folders and the like are others
    r"(?:agents|api|benchmarks|cli|deploy|docker|docs|ingress|mail|pop3|schemas|scripts|stack|stores"
    r"|streams|tests)/[\w./*-]*"
)
REQUEST = re.compile(r"([A-Z]+) (/v1/[\w/{}-]+)")
each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


@each_page
def test_links_lead_somewhere(page) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


@each_page
def test_each_block_says_what_it_is(page) -> None:
    assert {block.language for block in blocks(page)} <= LANGUAGES


@each_page
def test_commands_are_those_that_there_are(page) -> None:
    mentioned = [text for text in code(page) if text.startswith("postriver ")]
    for line in [*mentioned, *shell_commands(page)]:
        if called := CALLED.match(line):
            _check(called[1])


def _check(arguments: str) -> None:
    """Each word of a command line or of a synopsis is a command's name, an option, or its own."""
    command: click.Command = postriver
    context = click.Context(command)
    for word in re.split(r"[\s\[\]|]+", arguments):
        if isinstance(command, click.Group) and word and not word.startswith("-"):
            inner = command.get_command(context, word.rstrip(",`…"))
            assert inner is not None, f"postriver {arguments}: no command {word}"
            command = inner
        elif word.startswith("--"):
            known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
            assert word.partition("=")[0] in {*known, "--help", "--version"}, (
                f"postriver {arguments}: no option {word}"
            )


@each_page
def test_files_and_tests_are_those_that_there_are(page) -> None:
    for word in code(page):
        if PATH.fullmatch(word):
            assert any(ROOT.glob(word.rstrip("/"))), word
        if word.startswith("test_"):
            assert word in names_of_tests(), word


@each_page
def test_requests_are_those_that_there_are(page) -> None:
    answered = {(route.method, route.path) for route in ROUTES}
    for word in code(page):
        if asked := REQUEST.match(word):
            assert asked.groups() in answered, word


@cache
def names_of_tests() -> set[str]:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    return {name for text in sources for name in re.findall(r"def (test_\w+)", text)}


def _leaves(group: click.Group, before: str) -> list[str]:
    context, found = click.Context(group), []
    for name in group.list_commands(context):
        inner = group.get_command(context, name)
        is_group = isinstance(inner, click.Group)
        found += _leaves(inner, f"{before}{name} ") if is_group else [f"{before}{name}"]
    return found


def test_the_readme_names_every_command() -> None:
    spans = re.findall(r"`([^`]+)`", "\n".join(row[0] for row in _rows("## Use")))
    bare = [re.match(r"(?:postriver )?((?:[a-z-]+ ?)+)", span) for span in spans]
    named = {found[1].strip() for found in bare if found}
    assert named == set(_leaves(postriver, ""))


def _rows(title: str) -> list[list[str]]:
    """Cells of the table under a heading of the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition(f"\n{title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def _settings(cell: str) -> list[str]:
    """Names in a cell; `_NAME` stands for POSTRIVER_NAME."""
    names = re.findall(r"`([A-Z0-9_]+)`", cell)
    return [f"POSTRIVER{name}" if name.startswith("_") else name for name in names]


def test_the_readme_lists_every_setting_with_its_default() -> None:
    defaults = load({}).as_settings()
    listed: set[str] = set()
    for first, default, *_ in _rows("## Settings"):
        names = _settings(first)
        listed.update(names)
        numbers = re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", default)
        if len(numbers) == len(names):
            assert numbers == [defaults.get(name) for name in names], first
    assert listed == KNOWN_SETTINGS - NOT_FOR_OPERATORS


@each_page
def test_settings_are_those_that_there_are(page) -> None:
    named = set(re.findall(r"POSTRIVER_[A-Z0-9_]*[A-Z0-9]", page.read_text(encoding="utf-8")))
    assert named <= KNOWN_SETTINGS

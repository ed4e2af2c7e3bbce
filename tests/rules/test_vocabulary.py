"""Vocabulary rule: docstrings, comments and documents use no word that hides its noun."""

from pathlib import Path

import pytest

from tests.rules.test_tidy import LAYERS
from tests.rules.vocabulary import hits
from tests.support import ROOT

FOLDERS = (*LAYERS, "benchmarks", "docs", "tests")


@pytest.mark.parametrize("folder", FOLDERS)
def test_prose_has_no_banned_word(folder: str) -> None:
    paths = sorted(path for kind in ("*.py", "*.md") for path in (ROOT / folder).rglob(kind))
    assert paths
    assert [f"{path.relative_to(ROOT)}:{hit}" for path in paths for hit in hits(path)] == []


def test_readme_and_changelog_have_no_banned_word() -> None:
    for page in ("README.md", "CHANGELOG.md"):
        assert list(hits(ROOT / page)) == [], page


@pytest.mark.parametrize(
    "sentence",
    [
        "Nobody sees it.",
        "It is told the truth.",
        "The one that waits is first.",
        "What stands in the log.",
        "A letter is parked.",
    ],
)
def test_the_check_finds_the_old_habits(sentence: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(sentence)
    assert list(hits(page))


@pytest.mark.parametrize("sentence", ["A dead letter is parked.", "One command is one step."])
def test_the_check_leaves_plain_words(sentence: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(sentence)
    assert list(hits(page)) == []

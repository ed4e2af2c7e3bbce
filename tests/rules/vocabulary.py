"""List words that make a sentence hard to read: `python -m tests.rules.vocabulary PATH...`.

Checks docstrings and comments of sources, and the pages of docs/. Code blocks are skipped.
"""

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.support import ROOT

PRONOUNS = r"nobody|somebody|anybody|everybody|no one|whom|whoever|whatever|whichever"
SPEECH = r"told|tells?|telling|hearsay"
OLD = r"anew|beside|stranger'?s?|strangers|river|for ever"
BEFORE_ONE = r"another|each|every|this|that|the|which|no|an? \w+|his|its|our"
AFTER_ONE = r"that|who|which|is|are|was|were|has|have|of|in|to|may|can|must"
ONE = rf"(?:{BEFORE_ONE}) one(?=[\s,.;:)]*(?:$|[,.;:)]|{AFTER_ONE}))"
NONE = r"none (?:of|is|are|was|that|has|can|other)"
PLACE = r"(?:in|on|at|there|here|nowhere|where|between|behind|before|under|as|still)"
STAND = rf"(?:stands?|lies|stood) {PLACE}"
LETTER = r"(?<!dead[ .-])(?<!`)(?<!capital )(?<!small )(?<!case )letters?\b(?! and digits|s? in)"
BANNED = re.compile(
    rf"\b(?:{PRONOUNS}|{SPEECH}|{OLD}|{ONE}|ones|{NONE}|{STAND}|{LETTER})\b", re.IGNORECASE
)

STATEMENT_STARTS = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}  # tokens before a docstring


def prose_of_python(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of docstrings and comments, with their numbers; other strings are not prose."""
    text = path.read_text(encoding="utf-8")
    is_statement_start = True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
        elif token.type == tokenize.STRING and is_statement_start:
            yield from enumerate(token.string.splitlines(), token.start[0])
        if token.type not in {tokenize.COMMENT, tokenize.NL}:
            is_statement_start = token.type in STATEMENT_STARTS


def prose_of_markdown(path: Path) -> Iterator[tuple[int, str]]:
    """Lines outside fenced code."""
    fenced = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, re.sub(r"`[^`]*`", "", line)


def hits(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line number, word and line of each banned word in `path`."""
    prose = prose_of_markdown if path.suffix == ".md" else prose_of_python
    for number, line in prose(path):
        for match in BANNED.finditer(line):
            yield number, match.group(0), line.strip()


def main(arguments: list[str]) -> None:
    for argument in arguments or ["."]:
        given = (ROOT / argument).resolve()
        for path in sorted(
            [given] if given.is_file() else [*given.rglob("*.py"), *given.rglob("*.md")]
        ):
            if {".venv", ".tools"} & set(path.parts):
                continue
            for number, word, line in hits(path):
                print(f"{path.relative_to(ROOT)}:{number}: {word!r}: {line}")


if __name__ == "__main__":
    main(sys.argv[1:])

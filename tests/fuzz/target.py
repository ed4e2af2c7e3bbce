"""A fuzz target: a check that any octets must pass, and the words that its inputs consist of.

Inputs that failed before are in corpus/NAME/, one input per file; every run includes them.
"""

import hashlib
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"
REPEATED_BYTES = 64 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    check: Callable[[bytes], Any]
    words: tuple[bytes, ...]
    begins: tuple[bytes, ...] = (b"",)
    around: Callable[[], AbstractContextManager[Any]] = nullcontext  # the environment of checks
    examples: int = 300  # of the short run

    def corpus(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((CORPUS / self.name).glob("*"))}

    def add_to_corpus(self, data: bytes) -> Path:
        path = CORPUS / self.name / hashlib.sha256(data).hexdigest()[:12]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def inputs(self) -> st.SearchStrategy[bytes]:
        word = st.sampled_from(self.words)
        some = st.lists(word | word | word | st.binary(max_size=3), max_size=40).map(b"".join)
        new = st.tuples(st.sampled_from(self.begins), some).map(b"".join)
        corpus = sorted(self.corpus().values())
        return new | st.builds(_splice, st.sampled_from(corpus), some, _CUTS) if corpus else new

    def repeated(self) -> st.SearchStrategy[bytes]:
        """A few words repeated to REPEATED_BYTES: finds work that grows faster than its input."""
        few = st.lists(st.sampled_from(self.words), min_size=1, max_size=5).map(b"".join)
        return st.builds(
            lambda start, before, again, after: (
                start + before + again * (REPEATED_BYTES // len(again)) + after
            ),
            st.sampled_from(self.begins), few, few.filter(bool), few,
        )  # fmt: skip


_CUTS = st.tuples(st.floats(0, 1), st.floats(0, 0.3))


def _splice(base: bytes, new: bytes, cut: tuple[float, float]) -> bytes:
    """Replace a part of `base` by `new`."""
    at, length = int(cut[0] * len(base)), int(cut[1] * len(base))
    return base[:at] + new + base[at + length :]


def work_of(do: Callable[[], T]) -> tuple[T, int]:
    """Return the result of `do`, and its number of function calls: equal on every machine."""
    calls = 0

    def count(_frame: object, event: str, _what: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        done = do()
    finally:
        sys.setprofile(before)
    return done, calls


def encoded(*texts: str) -> tuple[bytes, ...]:
    return tuple(text.encode() for text in texts)


def is_text(texts: Iterable[str]) -> bool:
    """Whether all texts are valid Unicode, which UTF-8 can encode."""
    return all(text.encode() is not None for text in texts)

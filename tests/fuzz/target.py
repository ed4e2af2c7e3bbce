"""What is fuzzed: a check that any octets must pass, and what its inputs are made of.

Inputs that once failed stand in corpus/NAME/, one octet string a file, and are tried in every run.
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
PUMPED_BYTES = 64 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    check: Callable[[bytes], Any]
    words: tuple[bytes, ...]
    begins: tuple[bytes, ...] = (b"",)
    around: Callable[[], AbstractContextManager[Any]] = nullcontext  # what checks need running
    examples: int = 300  # of the short form

    def kept(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((CORPUS / self.name).glob("*"))}

    def keep(self, data: bytes) -> Path:
        path = CORPUS / self.name / hashlib.sha256(data).hexdigest()[:12]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def inputs(self) -> st.SearchStrategy[bytes]:
        word = st.sampled_from(self.words)
        some = st.lists(word | word | word | st.binary(max_size=3), max_size=40).map(b"".join)
        new = st.tuples(st.sampled_from(self.begins), some).map(b"".join)
        kept = sorted(self.kept().values())
        return new | st.builds(_spliced, st.sampled_from(kept), some, _CUTS) if kept else new

    def pumped(self) -> st.SearchStrategy[bytes]:
        """A few words again and again: what costs more than its length shows."""
        few = st.lists(st.sampled_from(self.words), min_size=1, max_size=5).map(b"".join)
        return st.builds(
            lambda start, before, again, after: (
                start + before + again * (PUMPED_BYTES // len(again)) + after
            ),
            st.sampled_from(self.begins), few, few.filter(bool), few,
        )  # fmt: skip


_CUTS = st.tuples(st.floats(0, 1), st.floats(0, 0.3))


def _spliced(kept: bytes, new: bytes, cut: tuple[float, float]) -> bytes:
    """`new` in place of a part of `kept`."""
    at, length = int(cut[0] * len(kept)), int(cut[1] * len(kept))
    return kept[:at] + new + kept[at + length :]


def work_of(do: Callable[[], T]) -> tuple[T, int]:
    """What `do` gives, and how many calls it took: the same on every machine."""
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
    """Valid Unicode, as UTF-8 can say it."""
    return all(text.encode() is not None for text in texts)

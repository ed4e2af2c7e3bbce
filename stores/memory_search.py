"""SearchIndex in memory: for tests, and the plain statement of what a search means."""

from collections.abc import Iterable

from mail.errors import StoreUnavailable
from mail.query import Term, parse, words_of
from schemas.records import IndexDocument
from stores.cursors import check_limit, decode_cursor, encode_cursor


class MemorySearchIndex:
    """Nothing survives the process. While `down` is set, every call raises StoreUnavailable."""

    def __init__(self) -> None:
        self.down = False
        self._documents: dict[tuple[str, str], IndexDocument] = {}

    async def add(self, document: IndexDocument) -> None:
        self._check()
        self._documents[document.user_id, document.message_id] = document

    async def remove(self, user_id: str, message_id: str) -> None:
        self._check()
        self._documents.pop((user_id, message_id), None)

    async def search(
        self, user_id: str, query: str, *, limit: int, cursor: str | None
    ) -> tuple[list[str], str | None]:
        self._check()
        meaning = parse(query)
        check_limit(limit)
        scope = ("search", user_id, query)
        after = decode_cursor(cursor, *scope) if cursor is not None else None
        places = sorted(
            (
                (document.received_at_ms, document.message_id)
                for document in self._of(user_id)
                if all(_holds(words_of(document), term) for term in meaning.all_of)
            ),
            reverse=True,
        )
        rest = [place for place in places if after is None or place < after]
        more = encode_cursor(rest[limit - 1], *scope) if len(rest) > limit else None
        return [message_id for _, message_id in rest[:limit]], more

    async def close(self) -> None:
        """Nothing is held."""

    def _of(self, user_id: str) -> Iterable[IndexDocument]:
        return (found for found in self._documents.values() if found.user_id == user_id)

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("search", "down")


def _holds(words: dict[str, list[str]], term: Term) -> bool:
    """Whether the term's tokens stand side by side in a field that it asks for."""
    fields = words if term.field is None else (term.field,)
    return any(_within(words[field], term.tokens) for field in fields)


def _within(words: list[str], phrase: tuple[str, ...]) -> bool:
    length = len(phrase)
    return any(
        tuple(words[start : start + length]) == phrase for start in range(len(words) - length + 1)
    )

"""Generations of the index: searches use one, and a second may be filled meanwhile.

A generation is an index of documents and one of progress. Their names end in the version of the
mapping and a number: PREFIX-search-2-1, PREFIX-progress-2-1. Aliases say what a generation is for:

    PREFIX-search-2, PREFIX-progress-2    on the generation that is searched
    NAME-write                            on each index that is written

An index without aliases is retired. The cluster changes all aliases of one request at once. Writes
go by the alias of an index, so that none makes an index that was deleted.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mail.errors import StoreUnavailable
from schemas.opensearch.search import PROGRESS, SEARCH, SEARCH_VERSION, settings
from stores.opensearch.client import ENGINE, AliasChanged, OpenSearchClient, SearchClusterConfig

PAGE = 1_000  # users whose progress is read at once
_NONE = "the index was deleted; the next start makes it again"
PARTS = ("search", "progress")


@dataclass(frozen=True, slots=True, order=True)
class Generation:
    """Names of the indices, and of the aliases by which they are written and read alone."""

    number: int
    prefix: str

    def index(self, part: str) -> str:
        return f"{alias(self.prefix, part)}-{self.number}"

    def write(self, part: str) -> str:
        return f"{self.index(part)}-write"


def alias(prefix: str, part: str) -> str:
    """The name by which the generation of this version is searched."""
    return f"{prefix}-{part}-{SEARCH_VERSION}"


class Generations:
    """The generations of this version. Every method raises StoreUnavailable."""

    def __init__(self, client: OpenSearchClient, config: SearchClusterConfig) -> None:
        """`client` makes nothing itself before a call."""
        self._client = client
        self._config = config
        self.prefix = config.prefix
        self._is_made = False
        self._making = asyncio.Lock()

    async def ready(self) -> None:
        """Make the first generation unless this process knows that there is one."""
        if not self._is_made:
            async with self._making:
                if not self._is_made:
                    await self.make()
                    self._is_made = True

    def searched(self, part: str) -> str:
        """The name by which `part` is searched."""
        return alias(self.prefix, part)

    async def make(self) -> bool:
        """Make the first generation if there is none; return whether this call made it.

        Users that an older version knows are unfilled in it, and are filled from the mailboxes.
        """
        if (await self._states())[0]:
            return False
        first = Generation(1, self.prefix)
        await self._create(first, "progress", searched=True)
        await self._list_unfilled(first)
        return await self._create(first, "search", searched=True)

    async def current(self) -> Generation:
        """The generation that is searched."""
        await self.ready()
        searched, _ = await self._states()
        if not searched:
            raise StoreUnavailable(ENGINE, _NONE)
        return searched[-1]

    async def each(self, act: Callable[[Generation], Awaitable[None]]) -> None:
        """Carry out a write on each generation that is written, the searched one last.

        Which they are is asked before. So a write that the searched generation has, and of which
        the message or its removal was not in the mailbox before the other generation existed, is
        in the other too; what was in the mailbox before, the filling adds or leaves out.
        """
        done: set[Generation] = set()
        while left := [each for each in await self.written() if each not in done]:
            for generation in left:
                try:
                    await act(generation)
                except StoreUnavailable:
                    if generation in await self.written():
                        raise
                done.add(generation)

    async def written(self) -> list[Generation]:
        """The generations that are written, the newest first; at least one."""
        await self.ready()
        _, written = await self._states()
        if not written:
            raise StoreUnavailable(ENGINE, _NONE)
        return written

    async def begin(self) -> Generation:
        """Return a generation that is written and not searched: made now, or unfinished."""
        current = await self.current()
        filling = Generation(current.number + 1, self.prefix)
        for part in ("progress", "search"):
            await self._create(filling, part)
            await self._wait_for(filling.write(part))
        return filling

    async def switch(self, filling: Generation) -> None:
        """Let `filling` be searched in place of all others, which are written no longer."""
        others = [each for each in await self._all() if each < filling]
        actions: list[dict[str, Any]] = []
        for part in PARTS:
            for other in others:
                names = [alias(self.prefix, part), other.write(part)]
                remove = {"index": other.index(part), "aliases": names, "must_exist": False}
                actions.append({"remove": remove})
            actions.append(
                {"add": {"index": filling.index(part), "alias": alias(self.prefix, part)}}
            )
        try:
            await self._client.change_aliases(actions)
        except AliasChanged as error:  # by another process that fills the same generation
            if await self.current() < filling:
                raise StoreUnavailable(ENGINE, f"aliases were not changed: {error}") from error

    async def delete_retired(self) -> None:
        """Delete the generations before the searched one."""
        current = await self.current()
        for retired in await self._all():
            if retired < current:
                for part in PARTS:
                    await self._client.delete_index(retired.index(part))

    async def delete_older_versions(self) -> None:
        """Delete the indices of older versions. Every mailbox must have been filled since.

        A process of an older version, if one still runs, searches nothing from then on.
        """
        for version, name in await self._versioned():
            if version < SEARCH_VERSION:
                await self._client.delete_index(name)

    async def _create(self, generation: Generation, part: str, *, searched: bool = False) -> bool:
        config = self._config
        names = [generation.write(part), *([alias(self.prefix, part)] if searched else [])]
        copies = {"number_of_shards": config.shards, "number_of_replicas": config.replicas}
        of_documents = settings(config.shards, config.replicas, config.refresh)
        body = {
            "mappings": SEARCH if part == "search" else PROGRESS,
            "settings": {"index": of_documents if part == "search" else copies},
            "aliases": {name: {} for name in names},
        }
        return await self._client.create_index(generation.index(part), body)

    async def _wait_for(self, name: str) -> None:
        """Wait until the shards of an index, which another process may have made now, answer."""
        ends_s = time.monotonic() + self._config.timeout_s
        while True:
            try:
                await self._client.page(name, "user", after=None, limit=1)
            except StoreUnavailable:
                if time.monotonic() > ends_s:
                    raise
                await asyncio.sleep(0.1)
            else:
                return

    async def _list_unfilled(self, first: Generation) -> None:
        older = [
            (version, name) for version, name in await self._versioned("progress")
            if version < SEARCH_VERSION
        ]  # fmt: skip
        if not older:
            return
        newest, after = max(older)[1], None
        while users := await self._client.page(newest, "user", after=after, limit=PAGE):
            after = users[-1]
            lines: list[dict[str, Any]] = []
            for user in users:
                lines += [{"create": {"_id": user, "routing": user}},
                          {"user": user, "unfilled": True}]  # fmt: skip
            await self._client.bulk(first.write("progress"), lines, refresh="wait_for")

    async def _versioned(self, part: str = "") -> list[tuple[int, str]]:
        """Version and name of each index of this prefix, or of those of one part."""
        names = await self._client.aliases(f"{self.prefix}-{part}*")
        return [found for name in names if (found := _versioned(name, self.prefix))]

    async def _states(self) -> tuple[list[Generation], list[Generation]]:
        """The generations that are searched, oldest first, and those written, newest first."""
        found = await self._client.aliases(f"{alias(self.prefix, 'search')}-*")
        every = self._named(found)
        name = alias(self.prefix, "search")
        searched = [each for each in every if name in found[each.index("search")]]
        written = [each for each in every if each.write("search") in found[each.index("search")]]
        return searched, written[::-1]

    async def _all(self) -> list[Generation]:
        return self._named(await self._client.aliases(f"{alias(self.prefix, 'search')}-*"))

    def _named(self, found: dict[str, set[str]]) -> list[Generation]:
        form = re.compile(rf"{re.escape(alias(self.prefix, 'search'))}-(\d+)")
        return sorted(
            Generation(int(match[1]), self.prefix)
            for match in map(form.fullmatch, found) if match
        )  # fmt: skip


class OneGeneration(Generations):
    """One generation alone, for the process that fills it."""

    def __init__(
        self, client: OpenSearchClient, config: SearchClusterConfig, one: Generation
    ) -> None:
        super().__init__(client, config)
        self._one = one

    def searched(self, part: str) -> str:
        return self._one.write(part)

    async def ready(self) -> None:
        """It was made by `begin`."""

    async def current(self) -> Generation:
        return self._one

    async def written(self) -> list[Generation]:
        return [self._one]


def _versioned(name: str, prefix: str) -> tuple[int, str] | None:
    """Version and name of an index of this prefix; None: it is none."""
    form = rf"{re.escape(prefix)}-(?:{'|'.join(PARTS)})-(\d+)(?:-\d+)?"
    match = re.fullmatch(form, name)
    return (int(match[1]), name) if match else None


def versions(names: dict[str, set[str]], prefix: str) -> set[int]:
    """The versions of which an index is among `names`."""
    return {found[0] for name in names if (found := _versioned(name, prefix))}

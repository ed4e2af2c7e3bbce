"""DKIM keyrings: the signing keys of each domain, sealed, among the settings of the directory.

A domain signs with its newest keys in use, one of RSA and one of Ed25519. After a rotation the new
keys wait until the operator has published their records and takes them into use; the old keys stay
in the list, since their records are needed until the last mail that they signed was verified.
"""

import asyncio
import base64
from typing import Final, Literal, Protocol

import msgspec

from mail.ports import Domains, Settings
from mail.sending.dkim.keys import Algorithm, SigningKey, generate, load
from mail.sending.service_key import ServiceKey
from schemas.directory import Domain

NEXT: Final = "next"  # made, not yet in use
IN_USE: Final = "in use"
RETIRED: Final = "retired"
KeyState = Literal["next", "in use", "retired"]
KEYS_MAX = 12  # of a domain; the oldest retired keys are dropped
_ALGORITHMS: tuple[tuple[Algorithm, str], ...] = (("rsa-sha256", "r"), ("ed25519-sha256", "e"))


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of a domain; `sealed` is base64 of the sealed PEM."""

    selector: str
    state: KeyState
    created_at_ms: int
    sealed: str


class KeyringDirectory(Domains, Settings, Protocol):
    """The ports that a DkimKeyrings needs."""


class DkimKeyrings:
    """The keyrings of all domains."""

    def __init__(self, directory: KeyringDirectory, key: ServiceKey) -> None:
        self._directory = directory
        self._key = key
        self._opened: dict[str, SigningKey] = {}  # by sealed text

    async def keys_of(self, domain: str) -> list[SigningKey]:
        """The keys in use of a domain by its name; none for a foreign domain. Raises CannotOpen."""
        found = await self._directory.domain(domain)
        return [] if found is None else await self.keys(found)

    async def keys(self, domain: Domain, state: KeyState = IN_USE) -> list[SigningKey]:
        """The keys of the domain in that state, the newest last. Raises CannotOpen."""
        stored = await self._stored(domain)
        return [self._open(domain, each) for each in stored if each.state == state]

    async def add(self, domain: Domain, *, at_ms: int, state: KeyState) -> list[SigningKey]:
        """Make and return a key of each algorithm; earlier keys in state `next` are dropped.

        On threads: to find the primes of an RSA key takes up to a second.
        """
        used = {each.selector for each in await self._stored(domain)}
        selectors = _free_selectors(used, at_ms // 1000)
        made = [
            await asyncio.to_thread(generate, domain.name, selector, algorithm)
            for selector, (algorithm, _) in zip(selectors, _ALGORITHMS, strict=True)
        ]
        new = [self._sealed(domain, key, at_ms, state) for key in made]
        stored = [each for each in await self._stored(domain) if each.state != NEXT]
        await self._store(domain, [*stored, *new])
        return made

    async def take_into_use(self, domain: Domain) -> list[SigningKey]:
        """Sign with the keys in state `next` from now on; return them, or [] if there are none."""
        stored = await self._stored(domain)
        if not any(each.state == NEXT for each in stored):
            return []
        after: dict[KeyState, KeyState] = {NEXT: IN_USE, IN_USE: RETIRED, RETIRED: RETIRED}
        moved = [msgspec.structs.replace(each, state=after[each.state]) for each in stored]
        await self._store(domain, moved)
        return await self.keys(domain)

    async def _stored(self, domain: Domain) -> list[StoredKey]:
        text = await self._directory.setting(_name(domain))
        return msgspec.json.decode(text, type=list[StoredKey]) if text else []

    async def _store(self, domain: Domain, keys: list[StoredKey]) -> None:
        text = msgspec.json.encode(keys[-KEYS_MAX:]).decode()
        await self._directory.set_setting(_name(domain), text)

    def _sealed(self, domain: Domain, key: SigningKey, at_ms: int, state: KeyState) -> StoredKey:
        sealed = self._key.seal(key.pem, _context(domain, key.selector))
        return StoredKey(
            selector=key.selector,
            state=state,
            created_at_ms=at_ms,
            sealed=base64.b64encode(sealed).decode(),
        )

    def _open(self, domain: Domain, stored: StoredKey) -> SigningKey:
        if stored.sealed not in self._opened:
            octets = base64.b64decode(stored.sealed)
            pem = self._key.open(octets, _context(domain, stored.selector))
            self._opened[stored.sealed] = load(domain.name, stored.selector, pem)
        return self._opened[stored.sealed]


def _free_selectors(used: set[str], at_s: int) -> list[str]:
    """A selector for each algorithm, of the first second from `at_s` on whose names are free.

    A selector is never used for a second key, since resolvers keep its record.
    """
    selectors = [f"p{at_s:x}{letter}" for _, letter in _ALGORITHMS]
    return selectors if used.isdisjoint(selectors) else _free_selectors(used, at_s + 1)


def _name(domain: Domain) -> str:
    return f"dkim:{domain.domain_id}"


def _context(domain: Domain, selector: str) -> str:
    return f"dkim {domain.domain_id} {selector}"

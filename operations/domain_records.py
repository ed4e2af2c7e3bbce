"""DNS records that a domain needs to send and receive mail, and their check."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mail.clock import now_ms
from mail.errors import Refused
from mail.ports import Directory
from mail.sending.dkim.keyring import IN_USE, NEXT, DkimKeyrings
from mail.sending.dkim.keys import SigningKey
from operations.accounts import add_domain
from schemas.directory import Domain


class TextLookup(Protocol):
    """Look-ups of DNS records as texts."""

    async def texts(self, name: str, kind: str) -> list[str]:
        """The values of the records; [] if there are none. Raises Refused: no answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsRecord:
    """A record; `strings`: of a TXT record in zone-file form, or the value of another record."""

    name: str
    kind: str  # MX | TXT
    value: str
    strings: tuple[str, ...]
    purpose: str

    @property
    def zone_line(self) -> str:
        return f"{self.name}. IN {self.kind} {' '.join(self.strings)}"


def records(domain: str, hostname: str, keys: Sequence[SigningKey]) -> list[DnsRecord]:
    """The records of a domain whose mail `hostname` receives and sends."""
    return [
        DnsRecord(
            name=domain,
            kind="MX",
            value=f"10 {hostname}.",
            strings=(f"10 {hostname}.",),
            purpose="other servers find this server",
        ),
        _text(domain, f"v=spf1 a:{hostname} mx -all", "this server may send (SPF, RFC 7208)"),
        *(
            DnsRecord(
                name=key.record_name,
                kind="TXT",
                value=key.record_text,
                strings=key.record_strings,
                purpose=f"signatures are verified (DKIM, RFC 6376; {key.algorithm})",
            )
            for key in keys
        ),
        _text(
            f"_dmarc.{domain}",
            f"v=DMARC1; p=quarantine; rua=mailto:postmaster@{domain}",
            "what receivers do with forged mail (DMARC, RFC 7489)",
        ),
    ]


async def fault_of(record: DnsRecord, lookup: TextLookup) -> str | None:
    """What is wrong with the published record; None: nothing.

    SPF and DMARC records may say something else than ours; there must be exactly one.
    """
    found = await lookup.texts(record.name, record.kind)
    if record.kind == "MX":
        host = record.value.partition(" ")[2].rstrip(".").lower()
        hosts = {text.partition(" ")[2].rstrip(".").lower() for text in found}
        return None if host in hosts else f"no MX record names {host}"
    version = record.value.partition(";")[0].partition(" ")[0]
    same = [text for text in found if text.lower().startswith(version.lower())]
    if not same:
        return "there is no such record"
    if len(same) > 1:
        return f"there are {len(same)} records that begin with {version}"
    if version == "v=DKIM1" and _squeezed(same[0]) != _squeezed(record.value):
        return "the record has another key"
    return None


async def add_signed_domain(directory: Directory, keyrings: DkimKeyrings, name: str) -> Domain:
    """Add a domain with its postmaster@ and with keys that sign its mail. Raises AlreadyExists."""
    domain = await add_domain(directory, name)
    await keyrings.add(domain, at_ms=now_ms(), state=IN_USE)
    return domain


async def rotate_keys(keyrings: DkimKeyrings, domain: Domain) -> list[SigningKey]:
    """Make new keys; they sign from `activate_keys` on, once their records are published."""
    return await keyrings.add(domain, at_ms=now_ms(), state=NEXT)


async def activate_keys(keyrings: DkimKeyrings, domain: Domain) -> list[SigningKey]:
    """Sign with the keys of the last rotation. Raises Refused: there are none."""
    keys = await keyrings.take_into_use(domain)
    if not keys:
        raise Refused(f"{domain.name} has no new keys: rotate its keys first")
    return keys


async def records_of(keyrings: DkimKeyrings, domain: Domain, hostname: str) -> list[DnsRecord]:
    """The records of a domain, those of keys that are not in use yet too."""
    keys = [*await keyrings.keys(domain), *await keyrings.keys(domain, NEXT)]
    return records(domain.name, hostname, keys)


def _text(name: str, value: str, purpose: str) -> DnsRecord:
    return DnsRecord(name=name, kind="TXT", value=value, strings=(f'"{value}"',), purpose=purpose)


def _squeezed(text: str) -> str:
    return "".join(text.split()).rstrip(";")

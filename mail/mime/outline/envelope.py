"""Envelope of a mail or attached mail: the fields of RFC 9051 §7.5.2, raw and decoded.

Never raises. Limits: FIELD_MAX_BYTES of each raw value and FIELDS_MAX_BYTES of all; of each address
list ADDRESSES_MAX mailboxes and ADDRESSES_MAX_BYTES of text. What is beyond a limit is cut, and the
envelope says so. Linear time.
"""

from mail.mime.address_list_parser import parse_address_entries
from mail.mime.header_fields import Header
from mail.text_cleaning import fitting
from schemas.outline import OutlineAddress, OutlineEnvelope, OutlineField

FIELD_MAX_BYTES = 8 * 1024
FIELDS_MAX_BYTES = 32 * 1024
FIELDS_MAX = 100
ADDRESSES_MAX = 1_000
ADDRESSES_MAX_BYTES = 16 * 1024
SUBJECT_MAX_CHARS = 998
ADDRESS_FIELDS = ("from", "sender", "reply-to", "to", "cc", "bcc")
ID_FIELDS = ("message-id", "in-reply-to")
_FIELDS = frozenset({"date", "subject", *ADDRESS_FIELDS, *ID_FIELDS})


def envelope_of(header: Header) -> OutlineEnvelope:
    """Return the envelope. Octets without a declared charset are decoded by `header.charset`."""
    fields, cut = _raw_fields(header)
    addresses = {}
    for name in ADDRESS_FIELDS:
        if values := header.all(name):
            addresses[name], list_cut = _entries(values, header.charset)
            cut |= list_cut
    return OutlineEnvelope(
        fields=fields,
        subject=header.text("subject", limit=SUBJECT_MAX_CHARS),
        sent_at_ms=header.date_ms(),
        sent_zone_min=header.date_zone_min(),
        addresses=addresses,
        ids={name: header.ids(name) for name in ID_FIELDS if header.all(name)},
        cut=cut,
    )


def needs_charset(header: Header) -> bool:
    """Whether an envelope field is neither ASCII nor UTF-8: its charset is guessed."""
    return any(not _is_utf_8(value) for name in _FIELDS for value in header.all(name))


def _is_utf_8(value: bytes) -> bool:
    try:
        return value.isascii() or bool(value.decode())
    except UnicodeDecodeError:
        return False


def _raw_fields(header: Header) -> tuple[tuple[OutlineField, ...], bool]:
    """Return the raw fields, and whether something was cut."""
    fields: list[OutlineField] = []
    left_bytes, cut = FIELDS_MAX_BYTES, False
    for sent_name, value in header.fields:
        name = sent_name.lower()
        if name not in _FIELDS:
            continue
        kept = value[: min(FIELD_MAX_BYTES, left_bytes)]
        cut |= len(kept) < len(value)
        left_bytes -= len(kept)
        if len(fields) == FIELDS_MAX:
            return tuple(fields), True
        fields.append(OutlineField(name, kept))
    return tuple(fields), cut


def _entries(values: list[bytes], charset: str) -> tuple[tuple[OutlineAddress, ...], bool]:
    """Return the entries of one address list, and whether entries are missing."""
    entries = parse_address_entries(values, limit=ADDRESSES_MAX + 1, fallback_charset=charset)
    kept = tuple(fitting(entries[:ADDRESSES_MAX], _text_of, max_bytes=ADDRESSES_MAX_BYTES))
    return kept, len(kept) < len(entries)


def _text_of(entry: OutlineAddress) -> str:
    return entry.name + entry.address + entry.sent_name + entry.route

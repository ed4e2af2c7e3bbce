"""scan: verdict of the virus and spam scanners; no infected and no unscanned mail passes.

Reads mail.validated. Emits mail.scanned for clean mail, and for spam that goes to the Junk folder.
A mail that a user sends is clean or ends in quarantine, with submission.report for its sender.
Infected mail, unscannable mail and spam above the quarantine threshold end in quarantine, which
holds the content. One scan per mail, regardless of the number of recipients. Infected mail is not
given to the spam scanner.
The virus scanner gets the octets of the mail, and each form in which a reader can receive a part of
it, because scanners parse MIME in their own way. `verdict.unchecked` names what was not readable.

A scanner unreachable: Transient, the partition holds and the mail stays in the log.
A scanner that fails twice on this mail alone (mail/scanning/isolation.py): `unscannable`,
quarantined.
Safe to repeat: a mail with a quarantine row has its verdict and is not scanned again, so a later
scan with other signatures cannot let it pass.
"""

from collections.abc import Sequence

from agents.content_access import keep_content, reading
from agents.ports import ScanPorts
from agents.sent_mail import refusal
from mail.errors import Unscannable
from mail.ports import Attempt
from mail.scanning.virus_scan import scan_of
from mail.spam_policy import SpamPolicy
from schemas.events.mail import MailScanned, MailValidated
from schemas.events.unions import Event
from schemas.holders import QUARANTINE_HOLDER, Holder
from schemas.ids import MailId
from schemas.mail import ENCRYPTED, PARTS, Hop, Verdict
from schemas.quarantine import Quarantined


async def scan(event: MailValidated, work: Attempt, ports: ScanPorts) -> Sequence[Event]:
    """The scanned mail; nothing if it is in quarantine."""
    row = await ports.quarantine.get(event.mail_id)
    if row is not None:
        return refusal(event, row.verdict)
    policy = ports.policy_for(event.outgoing)
    async with reading(event.content, ports.contents, ports.budget) as content:
        verdict = await _judge(content, event.mail_id, ports, policy, alone=work.attempt > 1)
    hop = work.hop(verdict.outcome)
    if policy.quarantines(verdict):
        await _quarantine(event, verdict, hop, ports)
        return refusal(event, verdict)
    return (_scanned(event, verdict, hop),)


async def _judge(
    content: bytes, mail_id: MailId, ports: ScanPorts, policy: SpamPolicy, *, alone: bool
) -> Verdict:
    """The verdict: virus scan first. A scanner that cannot read the mail makes it unscannable."""
    signatures = ""
    forms = await ports.parser.forms(content)
    try:
        virus = await ports.virus_engine.ask(
            scan_of(content, forms or (), ports.virus),
            content,
            key=mail_id,
            alone=alone,
        )
        signatures = virus.signatures
        if virus.virus:
            return Verdict(outcome="infected", virus=virus.virus, signatures=signatures)
        if virus.encrypted and not policy.deliver_encrypted:
            detail, unchecked = "something in it is encrypted", (ENCRYPTED,)
            return Verdict(
                outcome="unscannable", signatures=signatures, detail=detail, unchecked=unchecked
            )
        spam = await ports.spam_engine.ask(ports.spam.check, content, key=mail_id, alone=alone)
    except Unscannable as error:
        signatures = signatures or await ports.virus.signatures()
        return Verdict(outcome="unscannable", signatures=signatures, detail=str(error))
    return Verdict(
        outcome=policy.outcome(spam.score),
        signatures=signatures,
        spam_score=spam.score,
        spam_tests=spam.tests,
        rules=spam.rules,
        spam_scanned_bytes=spam.scanned_bytes,
        unchecked=(ENCRYPTED,) * virus.encrypted + (PARTS,) * (forms is None),
    )


async def _quarantine(event: MailValidated, verdict: Verdict, hop: Hop, ports: ScanPorts) -> None:
    content = await keep_content(event.mail_id, event.content, ports.contents)
    holder = Holder(mail_id=event.mail_id, holder=QUARANTINE_HOLDER, ref=content.ref)
    await ports.holders.hold([holder])
    assert verdict.outcome != "clean", "a clean mail is not quarantined"
    row = Quarantined(
        mail_id=event.mail_id,
        reason=verdict.outcome,
        verdict=verdict,
        envelope=event.envelope,
        head=event.head,
        content=content,
        received_at_ms=event.received_at_ms,
        quarantined_at_ms=hop.started_at_ms,
        hops=(*event.hops, hop),
        outgoing=event.outgoing,
    )
    await ports.quarantine.put(row)


def _scanned(event: MailValidated, verdict: Verdict, hop: Hop) -> MailScanned:
    return MailScanned(
        mail_id=event.mail_id,
        envelope=event.envelope,
        content=event.content,
        trace_size_bytes=event.trace_size_bytes,
        received_at_ms=event.received_at_ms,
        head=event.head,
        verdict=verdict,
        hops=(*event.hops, hop),
        scanned_at_ms=hop.started_at_ms,
        outgoing=event.outgoing,
    )

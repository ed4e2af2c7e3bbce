"""Ledger feed, step by step on a log in memory: what it takes, and what its status says."""

import asyncio
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition

from schemas.content import Inline
from schemas.dead_letters import DeadLetter
from schemas.ledger import PARKED, REDRIVEN
from schemas.mail import Recipient
from streams.codec import encode
from streams.dead_letters.headers import letter_headers, mark_headers
from streams.readers.ledger_feed import WATCHED, LedgerFeed, LedgerFeedConfig
from streams.topology import DEAD_LETTERS, RECEIVED
from tests.streams.readers.test_reader_steps import NOWHERE, Log
from tests.support.event_builders import ENVELOPE, received


class Ledger:
    """Keeps what a feed passes to it."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.letters: list[Any] = []

    async def take(self, mails: Any, letters: Any) -> None:
        self.mails += mails
        self.letters += letters


def log_of(topic: str) -> Log:
    log = Log(topic, polls=1_000)
    log.at = dict.fromkeys(log.assignment(), 0)
    return log


def mail(number: int) -> tuple[str, bytes]:
    return f"m{number}", encode(received(f"m{number}"))


def test_the_feed_reads_accepted_mails_and_dead_letters_and_nothing_else() -> None:
    assert set(WATCHED) == {RECEIVED, DEAD_LETTERS}


async def test_a_mail_is_entered_with_what_finds_it() -> None:
    """Its Message-ID, each of its users once, and its time; no place without an epoch."""
    log, ledger = log_of(RECEIVED), Ledger()
    recipients = tuple(Recipient(f"{user}@x.test", user, "d") for user in ("ann", "bob", "ann"))
    event = msgspec.structs.replace(
        received("m1"),
        content=Inline(b"Message-ID: <a@x.test>\r\nSubject: x\r\n\r\nx"),
        envelope=msgspec.structs.replace(ENVELOPE, recipients=recipients),
        received_at_ms=77,
    )
    log.append(1, "m1", encode(event))
    await LedgerFeed(NOWHERE, ledger.take)._read_batch(log)
    (entry,) = ledger.mails
    assert (entry.mail_id, entry.accepted_at_ms) == ("m1", 77)
    assert entry.user_ids == ("ann", "bob")
    assert entry.message_id_header == "a@x.test"
    assert entry.place is None


async def test_dead_letters_and_their_marks_are_entered_in_order() -> None:
    """The feed passes over the dead letter of an event that concerns no mail."""
    log, ledger = log_of(DEAD_LETTERS), Ledger()
    letter = DeadLetter(
        topic=RECEIVED, partition=2, offset=5, stage="validate", cause="odd", attempt=1, at_ms=3,
        key=b"m1", value=b"no event",
    )  # fmt: skip
    log.append(1, "m1", letter.value)
    log.records[1][-1].headers = letter_headers(letter)
    log.append(1, "x", b"of no mail")
    log.append(1, "m1", b"")
    log.records[1][-1].headers = mark_headers("1-0", 9)
    await LedgerFeed(NOWHERE, ledger.take)._read_batch(log)
    assert [(one.letter_id, one.state, one.mail_id) for one in ledger.letters] == [
        ("1-0", PARKED, "m1"), ("1-0", REDRIVEN, ""),
    ]  # fmt: skip
    assert ledger.mails == []
    assert log.commits == {log.part(1): 3}


async def test_the_lag_is_what_was_not_read_and_the_clock_of_the_feed_moves() -> None:
    log, ledger = log_of(RECEIVED), Ledger()
    feed = LedgerFeed(NOWHERE, ledger.take, LedgerFeedConfig(batch_records=2))
    for part in (0, 1):
        for number in range(5):
            log.append(part, *mail(10 * part + number))
    lags = []
    for _ in range(4):
        before_s = feed.status.moved_s
        await asyncio.sleep(0.002)
        await feed._read_batch(log)
        lags.append(feed.status.lag)
        assert feed.status.moved_s > before_s
    assert lags == [6, 2, 0, 0]
    assert len(ledger.mails) == 10
    log.highwater = lambda part: None  # the broker has not said it yet
    await feed._read_batch(log)
    assert feed.status.lag == 0


async def test_a_batch_without_a_gap_is_no_error(caplog) -> None:
    log, ledger = log_of(RECEIVED), Ledger()
    feed = LedgerFeed(NOWHERE, ledger.take)
    for number in range(3):
        log.append(0, *mail(number))
        await feed._read_batch(log)
    log.at[log.part(0)] = 1  # read again, as after a lost commit
    await feed._read_batch(log)
    assert (feed.status.skipped, caplog.records) == (0, [])


@pytest.mark.parametrize("step", ["revoked", "assigned"])
async def test_what_another_member_read_meanwhile_is_no_gap(step: str) -> None:
    log, ledger = log_of(RECEIVED), Ledger()
    feed = LedgerFeed(NOWHERE, ledger.take)
    log.append(0, *mail(0))
    await feed._read_batch(log)
    await (feed.on_partitions_revoked if step == "revoked" else feed.on_partitions_assigned)([])
    for number in (1, 2, 3):
        log.append(0, *mail(number))
    part = TopicPartition(RECEIVED, 0)
    log.at[part] = log.commits[part] = 3  # by the other member
    await feed._read_batch(log)
    assert [one.mail_id for one in ledger.mails] == ["m0", "m3"]
    assert feed.status.skipped == 0
    assert feed.status.ready == (step == "assigned")

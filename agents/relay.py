"""relay: the recipients of a mail in one foreign domain enter the relay queue.

Reads mail.relay. Writes one row for each recipient and emits nothing. The SMTP timeouts of RFC 5321
(minutes) do not fit into the handling of an event, so agents/relaying/relay_worker.py sends what is
in the queue, and reports the results. The stage `route` has written the holder of the content.

A store unreachable: Transient.
Safe to repeat: a row that exists, also one that is done, does not change.
"""

from collections.abc import Sequence

from agents.ports import RelayPorts
from mail.ports import Attempt
from schemas.events.sending import MailRelay
from schemas.events.unions import Event


async def relay(event: MailRelay, work: Attempt, ports: RelayPorts) -> Sequence[Event]:
    """Put the mail's recipients into the queue."""
    partition = work.position.partition
    await ports.queue.put(event, partition=partition, at_ms=event.queued_at_ms)
    work.after_publish(ports.wake.set)
    return ()

"""RCPT: the users that a forward-path resolves to, and whether they have quota left."""

import asyncio
import logging

from mail.addresses import is_role
from mail.directory.recipient_resolver import recipients
from mail.errors import BadAddress, NotFound, Refused, Transient
from schemas.directory import Owner
from schemas.mail import Recipient
from smtp.server import replies
from smtp.server.context import ConnectionContext
from smtp.server.replies import Rejection

log = logging.getLogger(__name__)


async def accept_recipient(
    site: ConnectionContext, path: str, *, size_bytes: int
) -> tuple[Recipient, ...]:
    """A recipient for each user that `path` resolves to. Raises Rejection.

    `size_bytes`: the declared size of the mail; 0: unknown.
    """
    local = await local_recipients(site, path, size_bytes=size_bytes)
    if local is None:
        raise Rejection(replies.RELAY_DENIED)
    return local


async def local_recipients(
    site: ConnectionContext, path: str, *, size_bytes: int
) -> tuple[Recipient, ...] | None:
    """As `accept_recipient`; None: an address of another domain."""
    try:
        async with asyncio.timeout(site.config.resolve_max_s):
            return await _resolve(site, path, size_bytes)
    except NotFound:
        reply = replies.UNKNOWN_USER
    except BadAddress:
        reply = replies.BAD_RECIPIENT
    except Refused:
        return None
    except TimeoutError:
        reply = replies.TRY_LATER
    except Transient as error:
        log.warning("recipient not resolved: %s", error)
        reply = replies.TRY_LATER
    except Rejection:
        raise
    except Exception:
        log.exception("recipient not resolved")
        reply = replies.TRY_LATER
    raise Rejection(reply)


async def _resolve(site: ConnectionContext, path: str, size_bytes: int) -> tuple[Recipient, ...]:
    """As `accept_recipient`, without its time limit and its mapping of errors.

    postmaster@ and abuse@ accept mail beyond the quota of their owner (RFC 5321 §4.5.1). A group
    accepts mail while any of its members has quota left.
    """
    owners: tuple[Owner, ...] = await site.resolver.resolve(path)
    if not is_role(path) and not await site.room.has_room(owners, size_bytes=size_bytes):
        raise Rejection(replies.MAILBOX_FULL)
    return recipients(path, owners)

"""MailTransport by SMTP: the hosts of a route in order, one outcome for each recipient."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from mail.addresses import normal_domain
from mail.errors import BadAddress
from mail.ports.mail_transport import (
    RECIPIENTS_MAX,
    MailTransport,
    RecipientOutcome,
    Smarthost,
    Transmission,
)
from mail.ports.mx_resolver import MailHost, MxResolver, Unroutable
from smtp.client.config import ClientConfig
from smtp.client.connection import Target
from smtp.client.connection_slots import KeyedSlots, NoSlot
from smtp.client.delivery import Delivery
from smtp.client.replies import HostFault
from smtp.client.session_pool import PoolStats, SessionPool
from smtp.client.transaction import MailRefused

_ALL = "all"  # the key of the limit of all connections


class SmtpTransport(MailTransport):
    """Sends to mail hosts that `resolver` finds; keeps sessions, and limits connections."""

    def __init__(self, config: ClientConfig, resolver: MxResolver) -> None:
        self._config = config
        self._resolver = resolver
        self._pool = SessionPool(config)
        self._of_domain = KeyedSlots(config.connections_per_domain_max)
        self._of_host = KeyedSlots(config.connections_per_host_max)
        self._of_all = KeyedSlots(config.connections_max)

    @property
    def stats(self) -> PoolStats:
        """Counts of sessions."""
        return self._pool.stats

    async def send(self, transmission: Transmission) -> tuple[RecipientOutcome, ...]:
        if not 0 < len(transmission.recipients) <= RECIPIENTS_MAX:
            msg = f"{len(transmission.recipients)} recipients: 1 to {RECIPIENTS_MAX} are possible"
            raise ValueError(msg)
        delivery = Delivery.begin(transmission)
        if delivery.waiting:
            hosts = await self._hosts(transmission)
            if isinstance(hosts, Unroutable):
                delivery.decide("resolve", hosts.status, hosts.text)
            else:
                await self._try_hosts(delivery, hosts)
        return delivery.in_order

    async def close(self) -> None:
        await self._pool.close()

    async def _hosts(self, transmission: Transmission) -> Sequence[MailHost] | Unroutable:
        if transmission.smarthost is None:
            return await self._resolver.mail_hosts(transmission.domain)
        found = await self._resolver.host(transmission.smarthost.host)
        if isinstance(found, Unroutable):  # the operator's setting is wrong, the mail is not
            return Unroutable(permanent=False, status=f"4{found.status[1:]}", text=found.text)
        return (found,)

    def _targets(self, transmission: Transmission, hosts: Sequence[MailHost]) -> Iterator[Target]:
        """The addresses to try, at most `addresses_max`."""
        smarthost, required = transmission.smarthost, self._requires_tls(transmission.domain)
        pairs = [(host.name, address) for host in hosts for address in host.addresses]
        for name, address in pairs[: self._config.addresses_max]:
            if smarthost is None:
                port = self._config.port
                yield Target(name=name, address=address, port=port, verified=required)
            else:
                yield _smarthost_target(smarthost, name, address, required=required)

    def _requires_tls(self, domain: str) -> bool:
        try:
            return normal_domain(domain) in self._config.tls_required
        except BadAddress:
            return False

    async def _try_hosts(self, delivery: Delivery, hosts: Sequence[MailHost]) -> None:
        """Try one address after the other, until no recipient waits or a limit is reached."""
        sessions = 0
        for target in self._targets(delivery.transmission, hosts):
            try:
                async with self._slots(delivery.transmission, target):
                    sessions += await self._try_target(delivery, target)
            except NoSlot:
                delivery.decide("connect", "4.4.5", "too many connections from here", target=target)
                return
            if not delivery.waiting or sessions >= self._config.sessions_max:
                return

    @asynccontextmanager
    async def _slots(self, transmission: Transmission, target: Target) -> AsyncIterator[None]:
        """Hold places of the domain, of the host and of all, in this order. Raises NoSlot."""
        wait_s = self._config.slot_wait_s
        async with AsyncExitStack() as stack:
            if transmission.smarthost is None:
                domain = transmission.domain.lower()
                await stack.enter_async_context(self._of_domain.hold(domain, within_s=wait_s))
            host = self._of_host.hold(target.address, within_s=wait_s)
            await stack.enter_async_context(host)
            await stack.enter_async_context(self._of_all.hold(_ALL, within_s=wait_s))
            yield

    async def _try_target(self, delivery: Delivery, target: Target) -> bool:
        """Send what waits to `target`; return whether there was a session."""
        try:
            try:
                await self._send_once(delivery, target, fresh=False)
            except MailRefused:
                await self._send_once(delivery, target, fresh=True)
        except HostFault as fault:
            delivery.decide_by(fault, target)
            return False
        return True

    async def _send_once(self, delivery: Delivery, target: Target, *, fresh: bool) -> None:
        """Send in one session. Raises HostFault: no session; and the errors of `send_in`."""
        smarthost = delivery.transmission.smarthost
        session = await self._pool.acquire(target, smarthost, fresh=fresh)
        try:
            keeps = await delivery.send_in(session)
        except BaseException:
            session.connection.abort()
            raise
        if keeps:
            self._pool.release(session)
        else:
            session.connection.abort()


def _smarthost_target(smarthost: Smarthost, name: str, address: str, *, required: bool) -> Target:
    """A smarthost with credentials or with TLS from the first octet is verified."""
    return Target(
        name=name,
        address=address,
        port=smarthost.port,
        verified=required or smarthost.implicit_tls or bool(smarthost.username),
        implicit_tls=smarthost.implicit_tls,
        username=smarthost.username,
    )

"""The state of one transmission: outcomes so far, and the recipients that another host may take."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mail.errors import BadAddress
from mail.ports.mail_transport import ForwardPath, Phase, RecipientOutcome, Transmission
from mail.sending.sendable_content import NotSendable
from smtp.client.connection import Target
from smtp.client.envelope_commands import check_path
from smtp.client.replies import HostFault, bounded_text, kind_of
from smtp.client.session import PeerSession
from smtp.client.transaction import MailRefused, MailTransaction


@dataclass(slots=True)
class Delivery:
    """`waiting`: recipients whose mail no host has taken or refused for good."""

    transmission: Transmission
    outcomes: dict[ForwardPath, RecipientOutcome] = field(default_factory=dict)
    waiting: list[ForwardPath] = field(default_factory=list)

    @classmethod
    def begin(cls, transmission: Transmission) -> "Delivery":
        """The delivery before any connection; addresses that cannot be sent have failed."""
        delivery = cls(transmission, waiting=list(dict.fromkeys(transmission.recipients)))
        if _problem_of(transmission.reverse_path):
            delivery.decide("local", "5.1.7", "the reverse-path is not an address")
        for recipient in list(delivery.waiting):
            if problem := _problem_of(recipient.address) or ("" if recipient.address else "empty"):
                outcome = _own_outcome(recipient, "local", "5.1.3", f"not an address: {problem}")
                delivery.note({recipient: outcome})
        return delivery

    @property
    def in_order(self) -> tuple[RecipientOutcome, ...]:
        """The outcomes in the order of the transmission's recipients."""
        return tuple(self.outcomes[recipient] for recipient in self.transmission.recipients)

    def decide(
        self, phase: Phase, status: str, text: str, *, target: Target | None = None, code: int = 0
    ) -> None:
        """Give all waiting recipients the same outcome."""
        self.note({
            each: _own_outcome(each, phase, status, text, target=target, code=code)
            for each in self.waiting
        })  # fmt: skip

    def decide_by(self, fault: HostFault, target: Target) -> None:
        """Give waiting recipients the outcome of a host without a session; they wait on.

        Even a host that never takes mail (521) decides nothing while another host may take it.
        """
        for each in self.waiting:
            outcome = _own_outcome(
                each, fault.phase, fault.status, fault.text, target=target, code=fault.code
            )
            self._keep_better(each, outcome)

    def note(self, outcomes: Mapping[ForwardPath, RecipientOutcome]) -> None:
        """Record `outcomes`; deferred recipients wait on, unless they are in doubt."""
        for recipient, outcome in outcomes.items():
            if outcome.kind == "deferred" and not outcome.in_doubt:
                self._keep_better(recipient, outcome)
            else:
                self.outcomes[recipient] = outcome
                self.waiting.remove(recipient)

    def _keep_better(self, recipient: ForwardPath, outcome: RecipientOutcome) -> None:
        """Keep the outcome that says most; the later of equals."""
        earlier = self.outcomes.get(recipient)
        if earlier is None or _weight(outcome) >= _weight(earlier):
            self.outcomes[recipient] = outcome

    async def send_in(self, session: PeerSession) -> bool:
        """Send what waits in `session`; return whether the session may be kept.

        Recipients beyond the peer's limit get a transaction of their own, as long as each
        transaction relays. Raises MailRefused: a kept session refused MAIL, and a new session may
        take the mail; and the errors of the transmission's caller.
        """
        recipients = list(self.waiting)
        keeps = True
        while recipients and keeps:
            transaction = MailTransaction(session, self.transmission)
            try:
                await transaction.run(recipients)
            except MailRefused as refusal:
                if session.is_reused:
                    raise
                transaction.decide_rest(recipients, refusal.fault)
            except (HostFault, NotSendable) as fault:
                keeps = False
                transaction.decide_rest(recipients, fault)
            self.note(transaction.outcomes)
            relayed = any(each.kind == "relayed" for each in transaction.outcomes.values())
            recipients = transaction.left_over if relayed else []
        return keeps


def _weight(outcome: RecipientOutcome) -> int:
    """A reply that defers says more than silence, and silence more than a host without service."""
    if outcome.kind == "failed":
        return 0
    return 2 if outcome.code else 1


def _problem_of(path: str) -> str:
    try:
        check_path(path)
    except BadAddress as error:
        return error.detail
    return ""


def _own_outcome(
    recipient: ForwardPath, phase: Phase, status: str, text: str, *,
    target: Target | None = None, code: int = 0,
) -> RecipientOutcome:  # fmt: skip
    return RecipientOutcome(
        address=recipient.address,
        kind=kind_of(status),
        phase=phase,
        code=code,
        status=status,
        text=bounded_text(text),
        server_name=target.name if target else "",
        server_address=target.address if target else "",
    )

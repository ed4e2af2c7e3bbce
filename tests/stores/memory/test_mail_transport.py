"""The mail transport in memory passes the contract, and its faults are at the named steps."""

from dataclasses import dataclass, field

import pytest

from mail.errors import Transient
from stores.memory import MemoryMailTransport
from stores.memory.mail_transport import ACCEPTED, ScriptedReply
from tests.contracts.mail_transport import MailTransportContract, transmission


@dataclass
class Peer:
    replies: dict = field(default_factory=dict)
    lost: bool = False

    def __post_init__(self):
        self.transport = MemoryMailTransport(script=self.answer)

    @property
    def received(self):
        return self.transport.received

    def answer(self, transmission, recipient):
        if self.lost:
            return ScriptedReply(lost_answer=True)
        return self.replies.get(recipient.address, ACCEPTED)

    def refuse(self, address, code):
        self.replies[address] = ScriptedReply(code, f"{code // 100}.1.1", "refused")

    def lose_answer(self):
        self.lost = True


class TestMemoryMailTransport(MailTransportContract):
    @pytest.fixture
    def peer(self):
        return Peer()


@pytest.mark.parametrize(("step", "arrived"), [("connect", 0), ("dot", 0), ("answer", 1)])
async def test_a_fault_is_before_its_step(step, arrived):
    def fault(name):
        if name == step:
            raise Transient("test")

    transport = MemoryMailTransport(fault=fault)
    with pytest.raises(Transient):
        await transport.send(transmission())
    assert len(transport.received) == arrived

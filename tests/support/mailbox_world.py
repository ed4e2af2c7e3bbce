"""A mailbox and its log, without a broker: one command at a time, with all that follows from it."""

from agents.mailbox import mailbox
from mail.ids import holder_of, message_id
from schemas.events.mailbox_commands import CreateFolder
from schemas.holders import Holder
from tests.support.agent_builders import OneTry, deliver, mailbox_ports, order


class MailboxWorld:
    """A mailbox and its log; follow-up commands go to the end of the log."""

    def __init__(self, **ports) -> None:
        """`ports`: those that are not in memory."""
        self.ports = mailbox_ports(chunk_max=3, **ports)
        self._offset = 0
        self._ids = 0

    async def do(self, command):
        """The event that answers the command."""
        log = [command]
        while True:
            work = OneTry(offset=self._offset)
            self._offset += 1
            event, *follow_ups = await mailbox(log.pop(0), work, self.ports)
            work.published()
            log += follow_ups
            if event.answers:
                assert event.answers == command.command_id
                return event

    async def order(self, kind, *mails: str, **fields):
        self._ids += 1
        return await self.do(order(kind, f"c{self._ids}", *mails, **fields))

    async def deliver(self, *mails: str, folder: str = "inbox") -> None:
        for mail in mails:
            name = holder_of(mail, "bob", message_id(mail, "bob"))
            await self.ports.holders.hold([Holder(mail_id=mail, holder=name, ref=mail)])
            await self.do(deliver(mail, folder_id=folder))

    async def folder(self, id_: str, name: str, parent_id: str = ""):
        return await self.order(CreateFolder, folder_id=id_, name=name, parent_id=parent_id)

    async def row(self, mail: str):
        return await self.ports.store.message("bob", message_id(mail, "bob"))

    async def places(self, *mails: str) -> list[set[str]]:
        return [set((await self.row(mail)).places) for mail in mails]

"""QUIT deletes the marked messages, and answers after the event; nothing else deletes."""

import asyncio
import base64

from schemas.events.mailbox_commands import ExpungeMessages
from tests.pop3.conftest import ALICE
from tests.support.waiting import until

MAIL = b"Subject: hello\r\n\r\nHello\r\n"
NOT_REMOVED = "-ERR [SYS/TEMP] some deleted messages not removed"


async def marked(rig, count: int = 1):
    for _ in range(count):
        await rig.deliver(MAIL)
    client = await rig.signed()
    for number in range(1, count + 1):
        assert (await client.ask(f"DELE {number}")).startswith("+OK")
    return client


async def test_one_command_for_500_messages(rig):
    await rig.serve()
    client = await marked(rig, 501)
    assert await client.ask("QUIT") == "+OK bye"
    commands = [one for one in rig.world.mailboxes.commands if isinstance(one, ExpungeMessages)]
    assert [len(one.message_ids) for one in commands] == [500, 1]
    assert {one.folder_id for one in commands} == {"inbox"}
    assert (await rig.inbox(), rig.server.stats.deleted_messages_total) == ([], 501)


async def test_a_message_of_another_folder_stays_there(rig):
    await rig.serve()
    row = await rig.deliver(MAIL, more_folder_ids=("archive",))
    client = await rig.signed()
    await client.ask("DELE 1")
    assert await client.ask("QUIT") == "+OK bye"
    message = await rig.world.store.message("alice", row.message_id)
    assert list(message.places) == ["archive"]


async def test_a_connection_that_drops_deletes_nothing(rig):
    await rig.serve()
    for drop in ("close", "abort"):
        client = await marked(rig)
        getattr(client.writer.transport, drop)()
        await until(lambda: rig.server.connections.open == 0)
    assert rig.world.mailboxes.commands == []


async def test_no_event_in_time_is_temporary(rig):
    server = await rig.serve()
    server._site.commands._answer_timeout_s = 0.05
    client = await marked(rig)
    rig.world.mailboxes.deaf = True
    assert await client.ask("QUIT") == NOT_REMOVED
    assert await client.line() == "closed"
    assert len(await rig.inbox()) == 1


async def test_a_broker_that_is_down_is_temporary(rig):
    await rig.serve()
    client = await marked(rig)
    rig.world.mailboxes.down = True
    assert await client.ask("QUIT") == NOT_REMOVED
    rig.world.mailboxes.down = False
    assert (await rig.signed()) is not None
    assert len(await rig.inbox()) == 1


async def test_the_reply_waits_for_the_event(rig):
    server = await rig.serve()
    client = await marked(rig)
    rig.world.mailboxes.deaf = True
    await client.send(b"QUIT\r\n")
    await until(lambda: rig.world.mailboxes.commands)
    (connection,) = server._site.connections
    assert connection.is_updating
    stopping = asyncio.create_task(server.stop())
    (command,) = rig.world.mailboxes.commands
    rig.world.feed.emit(await rig.world.mailboxes.carry_out(command))
    assert await client.line() == "+OK bye"
    await stopping
    assert await rig.inbox() == []


async def test_a_password_that_is_no_longer_valid_ends_the_session(rig):
    server = await rig.serve(check_s=0.05)
    secret = await rig.app_password("read")
    await rig.deliver(MAIL)
    client = await rig.connect()
    plain = base64.b64encode(f"\0{ALICE}\0{secret}".encode()).decode()
    assert (await client.ask(f"AUTH PLAIN {plain}")).startswith("+OK")
    await client.ask("DELE 1")
    await server.end_invalid_sessions()
    assert (await client.ask("NOOP")) == "+OK"
    (row,) = await rig.directory.app_passwords("alice")
    await rig.directory.revoke_app_password("alice", row.app_password_id)
    await until(lambda: rig.server.connections.open == 0)
    assert len(await rig.inbox()) == 1

"""Application passwords for operators: texts of the commands, and what the commands do."""

import pytest
from msgspec import structs

from cli.commands.domains_and_users import app_password_line, sign_in_line
from mail.errors import NotFound
from operations import accounts
from stores.memory import MemoryDirectory
from tests.contracts.app_passwords import app_password
from tests.contracts.directory_rows import ANN, settle, sign_in

AT_MS = 1_767_225_600_000
ADDRESS = "ann.lee@example.org"


def test_a_line_has_scopes_last_use_and_name() -> None:
    row = app_password(1, created_at_ms=AT_MS, name="Phone é")
    assert app_password_line(row) == "a001 read,send 2026-01-01T00:00:00.000Z never used Phone é"
    used = structs.replace(
        row, scopes=("read",), used_at_ms=AT_MS + 1, used_protocol="imap", used_network="192.0.2.7"
    )
    assert app_password_line(used) == (
        "a001 read      2026-01-01T00:00:00.000Z 2026-01-01T00:00:00.001Z imap 192.0.2.7 Phone é"
    )


def test_a_sign_in_names_its_application_password() -> None:
    row = sign_in(1, "u1", at_ms=AT_MS)
    assert sign_in_line(row) == "2026-01-01T00:00:00.000Z success  - 192.0.2.7 Mail/1.0"
    refused = structs.replace(
        row, outcome="failure", protocol="submission", user_agent="", app_password_id="a1",
        app_password_name="Phone", missing_scope="send",
    )  # fmt: skip
    assert sign_in_line(refused) == (
        "2026-01-01T00:00:00.000Z failure  submission 192.0.2.7 - by Phone, which has no scope send"
    )


async def test_an_operator_lists_and_revokes_by_address_and_id() -> None:
    directory = MemoryDirectory()
    await settle(directory)
    rows = [app_password(2), app_password(1)]
    for row in (*rows, app_password(3, "u2")):
        await directory.add_app_password(row)
    assert await accounts.app_passwords(directory, ADDRESS) == rows
    await accounts.revoke_app_password(directory, ADDRESS, "a002")
    for id_ in ("a002", "a003"):
        with pytest.raises(NotFound, match=f"see postriver user app-passwords {ADDRESS}"):
            await accounts.revoke_app_password(directory, ADDRESS, id_)
    assert await directory.app_passwords("u1") == rows[1:]
    with pytest.raises(NotFound, match="no user"):
        await accounts.app_passwords(directory, "nobody@example.org")


@pytest.mark.parametrize("revoke", [True, False])
async def test_a_new_password_keeps_them_unless_the_operator_asks(revoke) -> None:
    directory = MemoryDirectory()
    await settle(directory)
    await directory.add_app_password(app_password(1))
    await accounts.set_password(directory, ADDRESS, None, revoke_app_passwords=revoke)
    assert (await directory.user("u1")).password_hash != ANN.password_hash
    assert bool(await directory.app_passwords("u1")) is not revoke

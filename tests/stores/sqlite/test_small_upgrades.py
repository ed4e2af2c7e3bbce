"""Upgrades of the small stores from the first version: usable afterwards."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from schemas.directory import AppPassword
from schemas.holders import DEAD_LETTERS_HOLDER, DEPOSIT_HOLDER, QUARANTINE_HOLDER, Holder
from schemas.ledger import OPEN, STORED, AcceptedMail, LedgerEntry, LogPlace, Observation
from schemas.sqlite.directory import DIRECTORY
from schemas.sqlite.small_stores import CONTENT, HOLDERS, LEDGER, QUARANTINE
from stores.sqlite.content_store import SqliteContentStore
from stores.sqlite.directory.store import SqliteDirectory
from stores.sqlite.holders import _BY_KIND, SqliteHolders
from stores.sqlite.ledger import SqliteLedger
from stores.sqlite.quarantine import SqliteQuarantine
from tests.contracts.quarantine import quarantined


def first_version(path: Path, migrations, *rows: tuple[str, tuple[object, ...]]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in migrations[0]:
            connection.execute(statement)
        for insert, values in rows:
            connection.execute(insert, values)
        connection.execute("PRAGMA user_version=1")


async def test_quarantine(tmp_path: Path) -> None:
    row = msgspec.structs.replace(quarantined("m1"), released_at_ms=7, released_by="olga")
    old = msgspec.to_builtins(row)
    del old["unpublished"]
    insert = "INSERT INTO quarantined VALUES (?, ?)"
    first_version(
        tmp_path / "quarantine.sqlite", QUARANTINE, (insert, ("m1", msgspec.msgpack.encode(old)))
    )
    store = await SqliteQuarantine.open(tmp_path / "quarantine.sqlite")
    assert await store.list(limit=9) == [row]
    assert await store.list_unpublished(limit=9) == [], "it was published before it was marked"
    await store.put(quarantined("m2"))
    await store.release("m2", by="olga", at_ms=8)
    assert [one.mail_id for one in await store.list_unpublished(limit=9)] == ["m2"]
    await store.close()


async def test_holders(tmp_path: Path) -> None:
    insert = "INSERT INTO holder VALUES (?, ?, ?)"
    names = ("user:u1", QUARANTINE_HOLDER, DEAD_LETTERS_HOLDER)
    rows = [(insert, ("m1", who, "m1")) for who in names]
    first_version(tmp_path / "holders.sqlite", HOLDERS, *rows)
    store = await SqliteHolders.open(tmp_path / "holders.sqlite")
    for kind in (QUARANTINE_HOLDER, DEAD_LETTERS_HOLDER):
        kept = Holder(mail_id="m1", holder=kind, ref="m1")
        assert await store.held_by(kind, limit=9) == [kept]
    assert [row.holder for row in await store.list("m1")] == sorted(names)
    for name in names:
        await store.release("m1", name)
        await store.hold([Holder(mail_id="m1", holder=name, ref="m1")])
    assert await store.list("m1") == []
    await store.close()


@pytest.mark.parametrize("kind", [QUARANTINE_HOLDER, DEAD_LETTERS_HOLDER, DEPOSIT_HOLDER])
async def test_holders_that_wait_for_an_operator_are_listed_by_their_index(
    tmp_path: Path, kind: str
) -> None:
    await (await SqliteHolders.open(tmp_path / "holders.sqlite")).close()
    with closing(sqlite3.connect(tmp_path / "holders.sqlite")) as connection:
        values = {"kind": kind, "mail_id": "", "holder": "", "limit": 9}
        explained = connection.execute(f"EXPLAIN QUERY PLAN {_BY_KIND[kind]}", values)
        plan = str(explained.fetchall())
    assert f"SEARCH holder USING INDEX holder_{kind}" in plan, plan
    assert "TEMP B-TREE" not in plan, plan


async def test_ledger(tmp_path: Path) -> None:
    insert = """INSERT INTO accepted (mail_id, accepted_at_ms, look_at_ms, states)
        VALUES (?, ?, ?, ?)"""
    states = msgspec.msgpack.encode({"ann": OPEN})
    first_version(
        tmp_path / "ledger.sqlite", LEDGER,
        (insert, ("m1", 5, 5, states)), (insert, ("m2", 6, None, states)),
    )  # fmt: skip
    ledger = await SqliteLedger.open(tmp_path / "ledger.sqlite")
    entry = LedgerEntry(mail_id="m1", accepted_at_ms=5, states={"ann": OPEN})
    assert await ledger.due(now_ms=9, limit=9, horizon_ms=9) == [entry]
    assert await ledger.record([Observation(mail_id="m1", states={"ann": STORED})]) == {"m1"}
    place = LogPlace(epoch="1:t", partition=0, offset=5)
    owner = {"accepted_at_ms": 7, "user_ids": ("ann",), "place": place}
    await ledger.add([AcceptedMail(mail_id=mail_id, **owner) for mail_id in ("m2", "m3")])
    assert await ledger.places(["m1", "m2", "m3"]) == {"m3": place}, "m1 and m2 may be elsewhere"
    await ledger.close()


async def test_content(tmp_path: Path) -> None:
    insert = "INSERT INTO content (mail_id, put_at_ms, content) VALUES (?, ?, ?)"
    first_version(tmp_path / "content.sqlite", CONTENT, (insert, ("m1", 1, b"bytes")))
    store = await SqliteContentStore.open(tmp_path / "content.sqlite", tmp_path / "content")
    assert await store.get("m1") == b"bytes"
    assert await store.walk(place="row -1", limit=9) == (["m1"], "file ")
    assert await store.sweep(loose=["m1"], turns=2) == []
    assert await store.sweep(loose=["m1"], turns=2) == ["m1"]
    assert await store.missing(["m1"]) == ["m1"]
    await store.close()


async def test_directory_and_what_a_deleted_user_leaves(tmp_path: Path) -> None:
    path = tmp_path / "directory.sqlite"
    user = ("u1", "d1", "ann@example.org", "ann@example.org", 0, 7, "hash")
    first_version(
        path, DIRECTORY,
        ("INSERT INTO domain VALUES (?, ?, ?)", ("d1", "example.org", 1)),
        ("INSERT INTO user VALUES (?, ?, ?, ?, ?, ?, ?)", user),
    )  # fmt: skip
    row = AppPassword(
        app_password_id="a1", user_id="u1", name="Phone", scopes=("read",), secret_sha256="hash",
        created_at_ms=7,
    )  # fmt: skip
    directory = await SqliteDirectory.open(path)
    await directory.add_app_password(row)
    assert await directory.app_password("u1", "hash") == row
    await directory.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("DELETE FROM user")
        assert connection.execute("SELECT count(*) FROM app_password").fetchone() == (0,)


async def test_sign_ins_of_the_version_before_protocols(tmp_path: Path) -> None:
    path = tmp_path / "directory.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        for statements in DIRECTORY[:4]:
            for statement in statements:
                connection.execute(statement)
        row = ("s1", "u1", 5, "success", "192.0.2.7", "Mail/1.0", "")
        connection.execute("INSERT INTO sign_in VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute("PRAGMA user_version=4")
    directory = await SqliteDirectory.open(path)
    (found,) = await directory.sign_ins("u1", limit=9)
    assert (found.peer, found.protocol, found.app_password_id) == ("192.0.2.7", "", "")
    await directory.close()

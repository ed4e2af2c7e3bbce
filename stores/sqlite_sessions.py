"""The directory's statements about sign-ins: sessions, and the tries before them."""

from sqlite3 import Connection, IntegrityError

from mail.cursors import Place
from mail.errors import NotFound
from mail.ports import SIGN_INS_KEPT
from schemas.records import Session, SignIn

_SESSION = (
    "SELECT token_sha256, user_id, expires_at_ms, created_at_ms, used_at_ms, user_agent, peer"
    " FROM session WHERE "
)
_SIGN_INS = (
    "SELECT sign_in_id, user_id, at_ms, outcome, peer, user_agent FROM sign_in WHERE user_id = ?"
    " AND (at_ms, sign_in_id) < (?, ?) ORDER BY at_ms DESC, sign_in_id DESC LIMIT ?"
)
_BEYOND_THE_LAST = (
    "DELETE FROM sign_in WHERE user_id = ? AND sign_in_id IN ("
    "SELECT sign_in_id FROM sign_in WHERE user_id = ? AND outcome = ?"
    " ORDER BY at_ms DESC, sign_in_id DESC LIMIT -1 OFFSET ?)"
)


def put_session(connection: Connection, row: Session) -> None:
    values = (
        row.token_sha256, row.user_id, row.expires_at_ms, row.created_at_ms, row.used_at_ms,
        row.user_agent, row.peer,
    )  # fmt: skip
    try:
        connection.execute("INSERT OR IGNORE INTO session VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    except IntegrityError as error:  # INSERT OR IGNORE ignores no foreign key
        raise NotFound("there is no such user") from error


def session(connection: Connection, token_sha256: str) -> Session | None:
    found = connection.execute(_SESSION + "token_sha256 = ?", (token_sha256,)).fetchone()
    return _session(*found) if found else None


def sessions(connection: Connection, user_id: str, limit: int) -> list[Session]:
    order = "user_id = ? ORDER BY created_at_ms DESC, token_sha256 LIMIT ?"
    return [_session(*row) for row in connection.execute(_SESSION + order, (user_id, limit))]


def use_session(connection: Connection, token_sha256: str, at_ms: int) -> None:
    statement = "UPDATE session SET used_at_ms = max(used_at_ms, ?) WHERE token_sha256 = ?"
    connection.execute(statement, (at_ms, token_sha256))


def end_sessions(connection: Connection, user_id: str) -> None:
    connection.execute("DELETE FROM session WHERE user_id = ?", (user_id,))


def put_sign_in(connection: Connection, row: SignIn) -> None:
    values = (row.sign_in_id, row.user_id, row.at_ms, row.outcome, row.peer, row.user_agent)
    connection.execute("INSERT OR IGNORE INTO sign_in VALUES (?, ?, ?, ?, ?, ?)", values)
    last = (row.user_id, row.user_id, row.outcome, SIGN_INS_KEPT)
    connection.execute(_BEYOND_THE_LAST, last)


def sign_ins(connection: Connection, user_id: str, before: Place, limit: int) -> list[SignIn]:
    found = connection.execute(_SIGN_INS, (user_id, *before, limit))
    return [
        SignIn(
            sign_in_id=id_, user_id=user, at_ms=at_ms, outcome=outcome, peer=peer,
            user_agent=user_agent,
        )
        for id_, user, at_ms, outcome, peer, user_agent in found
    ]  # fmt: skip


def _session(
    token_sha256: str, user_id: str, expires_at_ms: int, created_at_ms: int, used_at_ms: int,
    user_agent: str, peer: str,
) -> Session:  # fmt: skip
    return Session(
        token_sha256=token_sha256, user_id=user_id, expires_at_ms=expires_at_ms,
        created_at_ms=created_at_ms, used_at_ms=used_at_ms, user_agent=user_agent, peer=peer,
    )  # fmt: skip

"""Statements of the directory for sessions and sign-ins, successful and failed."""

from sqlite3 import Connection, IntegrityError

from mail.errors import NotFound
from mail.pagination import ListPosition
from mail.ports import SESSIONS_KEPT, SIGN_INS_KEPT
from schemas.directory import Session, SignIn
from schemas.ids import UserId

_SESSION = (
    "SELECT token_sha256, user_id, expires_at_ms, created_at_ms, used_at_ms, user_agent, peer"
    " FROM session WHERE "
)
_SIGN_INS = (
    "SELECT sign_in_id, user_id, at_ms, outcome, peer, user_agent, device, protocol,"
    " app_password_id, app_password_name, missing_scope FROM sign_in"
    " WHERE user_id = ? AND (at_ms, sign_in_id) < (?, ?)"
    " ORDER BY at_ms DESC, sign_in_id DESC LIMIT ?"
)
_ADD_SIGN_IN = "INSERT OR IGNORE INTO sign_in VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_BEYOND_THE_LAST = (
    "DELETE FROM sign_in WHERE user_id = ? AND sign_in_id IN ("
    "SELECT sign_in_id FROM sign_in WHERE user_id = ? AND outcome = ?"
    " ORDER BY at_ms DESC, sign_in_id DESC LIMIT -1 OFFSET ?)"
)
_BEYOND_THE_NEWEST = (
    "DELETE FROM session WHERE token_sha256 IN (SELECT token_sha256 FROM session WHERE user_id = ?"
    " ORDER BY created_at_ms DESC, token_sha256 LIMIT -1 OFFSET ?)"
)
_SOURCES = (
    "SELECT DISTINCT peer, device FROM sign_in"
    " WHERE user_id = ? AND at_ms >= ? AND outcome = 'success'"
)
_ENDS = "SELECT end_key, token_sha256 FROM session_end WHERE end_key > ? ORDER BY end_key LIMIT ?"
_LAST_END = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'session_end'"
ENDS_AT_ONCE = 1_000
ENDS_KEPT_MS = 3_600_000


def put_session(connection: Connection, row: Session) -> None:
    values = (
        row.token_sha256, row.user_id, row.expires_at_ms, row.created_at_ms, row.used_at_ms,
        row.user_agent, row.peer,
    )  # fmt: skip
    try:
        connection.execute("INSERT OR IGNORE INTO session VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    except IntegrityError as error:  # OR IGNORE does not cover foreign keys
        raise NotFound("there is no such user") from error
    connection.execute(_BEYOND_THE_NEWEST, (row.user_id, SESSIONS_KEPT))


def session(connection: Connection, token_sha256: str) -> Session | None:
    found = connection.execute(_SESSION + "token_sha256 = ?", (token_sha256,)).fetchone()
    return _session(*found) if found else None


def sessions(connection: Connection, user_id: UserId, limit: int) -> list[Session]:
    order = "user_id = ? ORDER BY created_at_ms DESC, token_sha256 LIMIT ?"
    return [_session(*row) for row in connection.execute(_SESSION + order, (user_id, limit))]


def use_session(connection: Connection, token_sha256: str, at_ms: int) -> None:
    statement = "UPDATE session SET used_at_ms = max(used_at_ms, ?) WHERE token_sha256 = ?"
    connection.execute(statement, (at_ms, token_sha256))


def end_sessions(connection: Connection, user_id: UserId, *, but: str | None = None) -> None:
    statement = "DELETE FROM session WHERE user_id = ? AND token_sha256 IS NOT ?"
    connection.execute(statement, (user_id, but))


def session_ends(connection: Connection, after: int | None) -> tuple[list[str], int]:
    if after is None:
        return [], int(connection.execute(_LAST_END).fetchone()[0])
    rows = connection.execute(_ENDS, (after, ENDS_AT_ONCE)).fetchall()
    return [token_sha256 for _, token_sha256 in rows], rows[-1][0] if rows else after


def prune_sessions(connection: Connection, now_ms: int) -> int:
    gone = connection.execute("DELETE FROM session WHERE expires_at_ms <= ?", (now_ms,)).rowcount
    before = now_ms - ENDS_KEPT_MS
    connection.execute("DELETE FROM session_end WHERE ended_at_ms < ?", (before,))
    return gone


def put_sign_in(connection: Connection, row: SignIn) -> None:
    values = (
        row.sign_in_id, row.user_id, row.at_ms, row.outcome, row.peer, row.user_agent, row.device,
        row.protocol, row.app_password_id, row.app_password_name, row.missing_scope,
    )  # fmt: skip
    connection.execute(_ADD_SIGN_IN, values)
    last = (row.user_id, row.user_id, row.outcome, SIGN_INS_KEPT)
    connection.execute(_BEYOND_THE_LAST, last)


def sign_ins(
    connection: Connection, user_id: UserId, before: ListPosition, limit: int
) -> list[SignIn]:
    found = connection.execute(_SIGN_INS, (user_id, *before, limit))
    return [
        SignIn(
            sign_in_id=id_, user_id=user, at_ms=at_ms, outcome=outcome, peer=peer,
            user_agent=user_agent, device=device, protocol=protocol, app_password_id=app_id,
            app_password_name=app_name, missing_scope=missing_scope,
        )
        for id_, user, at_ms, outcome, peer, user_agent, device, protocol, app_id, app_name,
            missing_scope in found
    ]  # fmt: skip


def sources(connection: Connection, user_id: UserId, since_ms: int) -> list[tuple[str, str]]:
    return [(peer, device) for peer, device in connection.execute(_SOURCES, (user_id, since_ms))]


def _session(
    token_sha256: str, user_id: UserId, expires_at_ms: int, created_at_ms: int, used_at_ms: int,
    user_agent: str, peer: str,
) -> Session:  # fmt: skip
    return Session(
        token_sha256=token_sha256, user_id=user_id, expires_at_ms=expires_at_ms,
        created_at_ms=created_at_ms, used_at_ms=used_at_ms, user_agent=user_agent, peer=peer,
    )  # fmt: skip

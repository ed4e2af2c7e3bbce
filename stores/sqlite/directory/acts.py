"""Statements of the directory for acts of operators."""

from sqlite3 import Connection

from mail.pagination import ListPosition
from schemas.directory import OperatorAct

_ADD = "INSERT OR IGNORE INTO operator_act VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_END = "UPDATE operator_act SET outcome = ? WHERE act_id = ? AND outcome = ''"
_NEWEST = (
    "SELECT act_id, at_ms, user_id, address, peer, verb, target, detail, outcome"
    " FROM operator_act WHERE (at_ms, act_id) < (?, ?)"
    " ORDER BY at_ms DESC, act_id DESC LIMIT ?"
)


def add(connection: Connection, act: OperatorAct) -> None:
    values = (
        act.act_id, act.at_ms, act.user_id, act.address, act.peer, act.verb, act.target,
        act.detail, act.outcome,
    )  # fmt: skip
    connection.execute(_ADD, values)


def end(connection: Connection, act_id: str, outcome: str) -> None:
    connection.execute(_END, (outcome, act_id))


def newest(connection: Connection, before: ListPosition, limit: int) -> list[OperatorAct]:
    return [
        OperatorAct(
            act_id=act_id, at_ms=at_ms, user_id=user_id, address=address, peer=peer, verb=verb,
            target=target, detail=detail, outcome=outcome,
        )
        for act_id, at_ms, user_id, address, peer, verb, target, detail, outcome in (
            connection.execute(_NEWEST, (*before, limit))
        )
    ]  # fmt: skip

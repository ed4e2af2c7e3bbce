"""Roles of the cluster: one that defines tables, one for each process, and no known password.

A new cluster has the role `cassandra` with a known password. `take_over` creates the role of
`config` with it, and then `cassandra` cannot sign in. Each process has a role that reads
and writes rows of the keyspace; it defines no tables and sees no other keyspace.
Every step is harmless when it is repeated.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace

from stores.cassandra.session import AccessDenied, CassandraSession, ClusterConfig

FIRST = "cassandra"  # the role of a new cluster, and its password
GRANTS = ("SELECT", "MODIFY")
RETRY_S = 0.5
_LOGIN = "SELECT can_login FROM system_auth.roles WHERE role = ?"


async def take_over(config: ClusterConfig, *, first_role_wait_s: float = 30.0) -> None:
    """Let the role of `config` be the only superuser of the cluster.

    A new node answers before it has made its first role, so a refusal counts after
    `first_role_wait_s`.
    Raises AccessDenied: its password is not that of the cluster, which was taken over before.
    StoreUnavailable.
    """
    session = await _owner(config, time.monotonic() + first_role_wait_s)
    try:
        ((can_login,),) = await session.read(_LOGIN, FIRST)
        if can_login:
            unknown = secrets.token_hex(32)
            await session.define(
                f"ALTER ROLE {FIRST} WITH PASSWORD = '{unknown}'"
                " AND SUPERUSER = false AND LOGIN = false"
            )
    finally:
        await session.close()


async def _owner(config: ClusterConfig, until_s: float) -> CassandraSession:
    """A session of the role of `config`, which is created if the first role may still sign in."""
    while True:
        try:
            return await CassandraSession.open(config)
        except AccessDenied:
            try:
                await _create(config)
            except AccessDenied:
                if time.monotonic() >= until_s:
                    raise
                await asyncio.sleep(RETRY_S)


async def _create(config: ClusterConfig) -> None:
    """Create the role of `config`. Raises AccessDenied: the first role has no access either."""
    session = await CassandraSession.open(replace(config, user=FIRST, password=FIRST))
    try:
        await session.define(
            f"CREATE ROLE IF NOT EXISTS {_name(config.user)} WITH PASSWORD ="
            f" {_literal(config.password)} AND SUPERUSER = true AND LOGIN = true"
        )
    finally:
        await session.close()


async def grant_access(session: CassandraSession, passwords: Mapping[str, str]) -> None:
    """Create a role for each process, with its password, that reads and writes the keyspace.

    A role that exists gets the password again. `session` is that of the role of `take_over`.
    """
    for role, password in passwords.items():
        secret = f"PASSWORD = {_literal(password)}"
        await session.define(
            f"CREATE ROLE IF NOT EXISTS {_name(role)} WITH {secret} AND LOGIN = true"
        )
        await session.define(f"ALTER ROLE {_name(role)} WITH {secret}")
        for right in GRANTS:
            await session.define(
                f"GRANT {right} ON KEYSPACE {session.config.keyspace} TO {_name(role)}"
            )


def _name(role: str) -> str:
    return '"' + role.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

"""CQL tables of the directory, as migrations.

Tables with the value `row` are changed by lightweight transactions only
(stores/cassandra/guarded_rows.py). Lists of keys (`*_name`, `leads_to`) are never deleted: the row
that a key names decides whether the key is shown.
"""

import msgspec

from schemas.cql.due import DUE_TABLES
from schemas.cql.tables import Migration, Table
from schemas.directory import Alias, Domain, User

NAME_BUCKETS = 16  # of lists of names, by a hash of the name


class StoredAddress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The owner of an address: a user or an alias."""

    user: User | None = None
    alias: Alias | None = None


class StoredDomain(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A domain. `postmaster`: the domain exists once this user does, and not before."""

    domain: Domain
    postmaster: User | None = None


ADDRESS = Table(name="address", partition=("address",), values=("row",))
USER_ADDRESS = Table(name="user_address", partition=("user_id",), values=("row",))
DOMAIN = Table(name="domain", partition=("name",), values=("row",))
DOMAIN_NAME = Table(name="domain_name", partition=("domain_id",), values=("row",))
SETTING = Table(name="setting", partition=("name",), values=("row",))
APP_PASSWORDS = Table(name="app_passwords", partition=("user_id",), values=("row",))
APP_PASSWORD_OWNER = Table(
    name="app_password_owner", partition=("app_password_id",), values=("user_id",)
)
# Names by kind (domain, alias, setting), in order within each bucket.
LISTED_NAME = Table(name="listed_name", partition=("kind", "bucket"), clustering=("name",))
LEADS_TO = Table(name="leads_to", partition=("target",), clustering=("address",))
# used_at_ms is written with itself as the timestamp, so that the latest use stays.
SESSION = Table(name="session", partition=("token_sha256",), values=("session",))
SESSION_OF_USER = Table(
    name="session_of_user", partition=("user_id",), clustering=("created_at_ms", "token_sha256")
)
SESSION_END = Table(
    name="session_end", partition=("log", "minute"), clustering=("at_us", "token_sha256")
)
SIGN_IN = Table(
    name="sign_in",
    partition=("user_id", "outcome"),
    clustering=("at_ms", "sign_in_id"),
    values=("sign_in",),
)
OPERATOR_ACT = Table(name="operator_act", partition=("act_id",), values=("row",))
ACT_TIME = Table(name="act_time", partition=("log",), clustering=("at_ms", "act_id"))
DIRECTORY: tuple[Migration, ...] = (
    (
        *(
            table.create(f"{table.partition[0]} text, row blob")
            for table in (
                ADDRESS, USER_ADDRESS, DOMAIN, DOMAIN_NAME, SETTING, APP_PASSWORDS,
            )
        ),
        APP_PASSWORD_OWNER.create("app_password_id text, user_id text"),
        LISTED_NAME.create("kind text, bucket int, name text"),
        LEADS_TO.create("target text, address text"),
        SESSION.create("token_sha256 text, session blob, used_at_ms bigint"),
        SESSION_OF_USER.create(
            "user_id text, created_at_ms bigint, token_sha256 text",
            "CLUSTERING ORDER BY (created_at_ms DESC, token_sha256 ASC)",
        ),
        SESSION_END.create(
            "log text, minute bigint, at_us bigint, token_sha256 text",
            "default_time_to_live = 7200 AND gc_grace_seconds = 3600",
        ),
        SIGN_IN.create(
            "user_id text, outcome text, at_ms bigint, sign_in_id text, sign_in blob",
            "CLUSTERING ORDER BY (at_ms DESC, sign_in_id DESC)",
        ),
        *DUE_TABLES,
    ),
    (
        OPERATOR_ACT.create("act_id text, row blob"),
        ACT_TIME.create(
            "log text, at_ms bigint, act_id text",
            "CLUSTERING ORDER BY (at_ms DESC, act_id DESC)",
        ),
    ),
)  # fmt: skip

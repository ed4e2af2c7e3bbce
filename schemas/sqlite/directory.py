"""Tables of the directory, as migrations (schemas/sqlite/migrations.py)."""

from schemas.sqlite.migrations import Statements

DIRECTORY: tuple[Statements, ...] = (
    (
        """CREATE TABLE domain (
            domain_id TEXT PRIMARY KEY NOT NULL,
            name TEXT NOT NULL UNIQUE,
            created_at_ms INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE user (
            user_id TEXT PRIMARY KEY NOT NULL,
            domain_id TEXT NOT NULL REFERENCES domain,
            address TEXT NOT NULL,
            normal_address TEXT NOT NULL UNIQUE,
            disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
            created_at_ms INTEGER NOT NULL,
            password_hash TEXT NOT NULL
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE session (
            token_sha256 TEXT PRIMARY KEY NOT NULL,
            user_id TEXT NOT NULL REFERENCES user,
            expires_at_ms INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX session_by_user ON session (user_id)",
        """CREATE TABLE setting (
            name TEXT PRIMARY KEY NOT NULL,
            value TEXT NOT NULL
        ) STRICT, WITHOUT ROWID""",
    ),
    # Quotas: NULL is not set, 0 is no limit. An address belongs to a user or to an alias, not to
    # both: stores/sqlite/directory/aliases.py checks that, as no constraint covers two tables.
    (
        "ALTER TABLE domain ADD COLUMN quota_bytes INTEGER",
        "ALTER TABLE domain ADD COLUMN quota_messages INTEGER",
        "ALTER TABLE domain ADD COLUMN catch_all TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE user ADD COLUMN quota_bytes INTEGER",
        "ALTER TABLE user ADD COLUMN quota_messages INTEGER",
        """CREATE TABLE alias (
            address TEXT PRIMARY KEY NOT NULL,
            domain_id TEXT NOT NULL REFERENCES domain,
            is_group INTEGER NOT NULL CHECK (is_group IN (0, 1)),
            created_at_ms INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE alias_target (
            address TEXT NOT NULL REFERENCES alias ON DELETE CASCADE,
            target TEXT NOT NULL,
            PRIMARY KEY (address, target)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX alias_target_by_target ON alias_target (target)",
        "CREATE INDEX domain_by_catch_all ON domain (catch_all)",
    ),
    (
        "ALTER TABLE session ADD COLUMN created_at_ms INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE session ADD COLUMN used_at_ms INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE session ADD COLUMN user_agent TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE session ADD COLUMN peer TEXT NOT NULL DEFAULT ''",
        """CREATE TABLE sign_in (
            sign_in_id TEXT NOT NULL,
            user_id TEXT NOT NULL,
            at_ms INTEGER NOT NULL,
            outcome TEXT NOT NULL CHECK (outcome IN ('success', 'failure', 'lockout')),
            peer TEXT NOT NULL,
            user_agent TEXT NOT NULL,
            PRIMARY KEY (user_id, at_ms, sign_in_id)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX sign_in_by_time ON sign_in (at_ms)",
    ),
    # session_end: deleted sessions, from whose list each edge process closes its WebSockets.
    (
        "ALTER TABLE sign_in ADD COLUMN device TEXT NOT NULL DEFAULT ''",
        """CREATE TABLE session_end (
            end_key INTEGER PRIMARY KEY AUTOINCREMENT,
            token_sha256 TEXT NOT NULL,
            ended_at_ms INTEGER NOT NULL
        ) STRICT""",
        """CREATE TRIGGER session_ended AFTER DELETE ON session BEGIN
            INSERT INTO session_end (token_sha256, ended_at_ms)
            VALUES (OLD.token_sha256, CAST(strftime('%s', 'now') AS INTEGER) * 1000);
        END""",
    ),
    # An application password is looked up by its hash at each sign-in.
    (
        """CREATE TABLE app_password (
            app_password_id TEXT PRIMARY KEY NOT NULL,
            user_id TEXT NOT NULL REFERENCES user ON DELETE CASCADE,
            name TEXT NOT NULL,
            scopes TEXT NOT NULL,
            secret_sha256 TEXT NOT NULL,
            created_at_ms INTEGER NOT NULL,
            used_at_ms INTEGER NOT NULL,
            used_protocol TEXT NOT NULL,
            used_network TEXT NOT NULL,
            UNIQUE (user_id, secret_sha256)
        ) STRICT, WITHOUT ROWID""",
        "ALTER TABLE sign_in ADD COLUMN protocol TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE sign_in ADD COLUMN app_password_id TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE sign_in ADD COLUMN app_password_name TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE sign_in ADD COLUMN missing_scope TEXT NOT NULL DEFAULT ''",
    ),
    (
        """ALTER TABLE user ADD COLUMN role TEXT NOT NULL DEFAULT 'user'
            CHECK (role IN ('user', 'operator'))""",
        """CREATE TABLE operator_act (
            act_id TEXT NOT NULL,
            at_ms INTEGER NOT NULL,
            user_id TEXT NOT NULL,
            address TEXT NOT NULL,
            peer TEXT NOT NULL,
            verb TEXT NOT NULL,
            target TEXT NOT NULL,
            detail TEXT NOT NULL,
            outcome TEXT NOT NULL,
            PRIMARY KEY (at_ms, act_id)
        ) STRICT, WITHOUT ROWID""",
        "CREATE UNIQUE INDEX operator_act_by_id ON operator_act (act_id)",
    ),
)

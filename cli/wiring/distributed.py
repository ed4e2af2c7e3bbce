"""Parts of the distributed profile: those that exist and those that are missing.

A stack of this profile is not started before all parts exist: a role without the adapter of a port
could only use another profile's store.
"""

from mail.errors import Refused

EXISTING = (
    "the engines Cassandra, OpenSearch and Redis, and an S3 server",
    "on Cassandra: the mail store, directory, submissions, relay queue, ledger, quarantine",
    "holders, outlines and uploads, with a role for each process",
    "contents on Cassandra and S3, search on OpenSearch",
    "limits of sign-ins on Redis",
)
MISSING = (
    "contents in segments; roles that use contents on S3",
    "limits of requests and caches on Redis",
    "the first domain and users at a start (they are added before the engines run)",
    "a stack that has run with all of it",
)


def refuse_incomplete(profile: str) -> None:
    """Raise Refused, with the parts, for the profile `distributed`."""
    if profile == "distributed":
        raise Refused(
            "POSTRIVER_PROFILE=distributed is not complete, and nothing was started.\n"
            f"  exists:  {', '.join(EXISTING)}\n"
            f"  missing: {', '.join(MISSING)}"
        )

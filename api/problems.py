"""Problem details (RFC 9457) for every failure; they reveal no internals.

`code` is stable, for programs; `detail` is for people. Unknown ids, malformed ids and ids of other
users get the same 404, so that ids cannot be probed.
"""

from http import HTTPStatus
from typing import TypedDict, Unpack

import msgspec
from aiohttp import web

from edge.deposits.deposit import NoSuchFolder, TooLarge
from edge.deposits.room import OverQuota
from edge.deposits.virus_check import CannotBeScanned, Infected
from edge.sending_limiter import SendingRateLimited
from edge.sign_in.authenticator import WrongCredentials
from edge.sign_in.login_limiter import LoginRateLimited
from mail.composing.faults import ComposingFault
from mail.errors import AlreadyExists, BadQuery, NotFound, PostriverError, Refused, Transient
from mail.ports import TooManyUploads
from mail.query.time_budget import SearchTimedOut

MEDIA_TYPE = "application/problem+json"


class ProblemDetails(msgspec.Struct, kw_only=True):
    """The body (RFC 9457 §3.1); members after `code` are extensions (§3.2)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    position: int | msgspec.UnsetType = msgspec.UNSET  # character index into `q`, from 0
    place: str | msgspec.UnsetType = msgspec.UNSET  # JSON path, or parameter, of the fault
    incident: str | msgspec.UnsetType = msgspec.UNSET  # id of the log entry
    snapshot: str | msgspec.UnsetType = msgspec.UNSET  # resource to start from instead
    virus: str | msgspec.UnsetType = msgspec.UNSET  # name of the signature that was found


class Members(TypedDict, total=False):
    """Extension members of ProblemDetails."""

    position: int
    place: str
    incident: str
    snapshot: str
    virus: str


class Problem(Exception):
    """A failure that becomes a response with problem details and `headers`."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        **members: Unpack[Members],
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.headers = headers or {}
        self.body = ProblemDetails(
            title=HTTPStatus(status).phrase,
            status=status,
            detail=detail,
            code=code,
            **members,
        )

    def response(self) -> web.Response:
        return web.Response(
            status=self.status,
            body=msgspec.json.encode(self.body),
            headers={"Content-Type": MEDIA_TYPE, **self.headers},
        )


def not_found() -> Problem:
    return Problem(404, "not_found", "Not found.")


def unauthorized() -> Problem:
    """The same for a missing or invalid token, an ended session, a disabled user (RFC 6750 §3)."""
    return Problem(
        401, "unauthorized", "Sign in first.", headers={"WWW-Authenticate": 'Bearer realm="mail"'}
    )


def wrong_credentials() -> Problem:
    """The same for an unknown address, a wrong password and a disabled user."""
    return Problem(
        401,
        "wrong_credentials",
        "Address or password is wrong.",
        headers={"WWW-Authenticate": 'Bearer realm="mail"'},
    )


def wrong_password() -> Problem:
    """403, since 401 would mean that the session has ended."""
    return Problem(403, "wrong_password", "The password of the account is wrong.")


def cross_site() -> Problem:
    return Problem(403, "cross_site", "A page of another site must not use your cookie for this.")


def feed_gone() -> Problem:
    """The journal is folded beyond `since`, or `since` is of another epoch: take a snapshot."""
    return Problem(
        410,
        "feed_gone",
        "These changes are no longer kept: get the snapshot, then continue from its state.",
        snapshot="/v1/snapshot",
    )


def unavailable(retry_after_s: int) -> Problem:
    return Problem(
        503,
        "unavailable",
        "A part of the service does not answer now; try again later.",
        headers={"Retry-After": str(retry_after_s)},
    )


def too_many(detail: str, retry_after_s: float) -> Problem:
    seconds = max(1, int(retry_after_s + 0.999))
    return Problem(429, "too_many", detail, headers={"Retry-After": str(seconds)})


def bad_request(code: str, detail: str, place: str) -> Problem:
    return Problem(400, code, detail, place=place)


def of_error(error: PostriverError, retry_after_s: int) -> Problem | None:
    """The problem that reports `error` to a client; None for an internal error."""
    match error:
        case Transient():
            return unavailable(retry_after_s)
        case SearchTimedOut():
            return Problem(400, "search_too_broad", str(error), place="query:q")
        case Refused():
            return _of_refused(error)
        case _:
            return None


def _of_refused(error: Refused) -> Problem:
    match error:
        case WrongCredentials():
            return wrong_credentials()
        case LoginRateLimited() | SendingRateLimited():
            return _rate_limited(error)
        case NotFound():
            return not_found()
        case (
            Infected()
            | CannotBeScanned()
            | OverQuota()
            | TooManyUploads()
            | TooLarge()
            | NoSuchFolder()
            | AlreadyExists()
            | ComposingFault()
        ):
            return _of_deposit(error)
        case BadQuery():
            return Problem(400, "bad_query", error.detail, position=error.position, place="query:q")
        case _:
            return Problem(400, "refused", error.detail)


def _rate_limited(error: LoginRateLimited | SendingRateLimited) -> Problem:
    if isinstance(error, SendingRateLimited):
        return too_many(error.detail, error.retry_after_s)
    return too_many("Too many login attempts; wait.", error.wait_ms / 1000)


def _of_deposit(error: Refused) -> Problem:
    if isinstance(error, Infected):
        return Problem(422, "infected", error.detail, virus=error.virus)
    if isinstance(error, ComposingFault):
        return Problem(422, "invalid_mail", error.detail, place=error.place)
    statuses = {
        CannotBeScanned: (422, "cannot_be_scanned"),
        OverQuota: (507, "over_quota"),
        TooManyUploads: (507, "too_many_uploads"),
        TooLarge: (413, "too_large"),
        NoSuchFolder: (409, "refused"),
        AlreadyExists: (409, "refused"),
    }
    return Problem(*statuses[type(error)], error.detail)


_HTTP_DETAILS = {
    404: ("not_found", "Not found."),
    405: ("method_not_allowed", "The resource does not support the method; see Allow."),
    413: ("too_large", "The request body is too large."),
    417: ("expectation_failed", "The expectation is not supported."),
}


def of_http(error: web.HTTPException) -> Problem:
    """Problem details for a request that aiohttp refuses."""
    code, detail = _HTTP_DETAILS.get(error.status, ("refused", "The request is refused."))
    kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
    return Problem(error.status, code, detail, headers=kept)

"""OperatorRoute: a route for users with the role `operator`.

To read takes the role. To act takes a sign-in of the last 15 minutes too, so that a cookie that was
stolen, or a page that was left open, does not act; POST /v1/me/confirm makes a new sign-in.
"""

from dataclasses import dataclass
from typing import ClassVar

from aiohttp import hdrs, web

from api.context import AuthenticatedRequest
from api.problems import Problem, too_many
from api.route import AuthenticatedRoute
from mail.clock import now_ms

READS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
PREFIX = "/v1/admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRoute(AuthenticatedRoute):
    """A route of the admin API; others get 403."""

    common_problems: ClassVar[tuple[int, ...]] = (400, 401, 403, 429, 500, 503)

    async def respond(self, call: AuthenticatedRequest) -> web.StreamResponse:
        """Raises Problem 403: no operator, or the sign-in is too old; 429: too many acts."""
        if call.caller.user.role != "operator":
            raise Problem(403, "not_operator", "This is for operators.")
        if call.request.method not in READS:
            _check_recent(call)
            if wait_s := call.context.act_rates.try_take(call.user_id):
                raise too_many("Too many acts; wait.", wait_s)
        return await self.handler(call)


def _check_recent(call: AuthenticatedRequest) -> None:
    age_ms = now_ms() - call.caller.session.created_at_ms
    if not 0 <= age_ms <= call.context.config.act_sign_in_s * 1000:
        raise Problem(403, "sign_in_again", "Confirm your password first: POST /v1/me/confirm.")

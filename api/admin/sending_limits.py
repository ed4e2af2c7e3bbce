"""Bodies of requests that change limits of sending."""

import msgspec

from operations.sending_limits import LimitsChange
from schemas.directory import NO_OWN_LIMITS, OwnSendingLimits


class LimitsPatch(OwnSendingLimits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits to set, 0: no limit. `reset`: all others are removed, else they stay."""

    reset: bool = False

    @property
    def change(self) -> LimitsChange:
        given = msgspec.structs.asdict(self)
        start = NO_OWN_LIMITS if given.pop("reset") else None
        limits = {name: most for name, most in given.items() if most is not None}
        return LimitsChange(limits=limits, start=start)

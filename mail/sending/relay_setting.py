"""The setting of delivery to other servers: off, by MX, or by a smarthost."""

from dataclasses import dataclass
from typing import Literal

from mail.ports.mail_transport import Smarthost

RELAY_OFF = "5.7.1", "This server does not send to other servers (POSTRIVER_RELAY=off)."
RelayMode = Literal["off", "mx", "smarthost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySetting:
    """How mail for recipients of other domains leaves this server."""

    mode: RelayMode = "off"
    smarthost: Smarthost | None = None  # in mode `smarthost`

    @property
    def is_off(self) -> bool:
        return self.mode == "off"

"""Settings of mail that users send."""

from dataclasses import dataclass
from typing import Any

from cli.config.edge import EdgeSettings, edge_settings
from cli.config.setting_reader import SettingReader

UNDO_MAX_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingSettings(EdgeSettings):
    """The part of Config about submissions, after that of the edges."""

    outgoing_spam_score: float  # from this score on a mail is not sent
    undo_s: int  # how long a mail that is sent by the API can be canceled


def sending_settings(read: SettingReader) -> dict[str, Any]:
    """The fields of SendingSettings. Raises BadSetting."""
    return {
        **edge_settings(read),
        "outgoing_spam_score": read.score("OUTGOING_SPAM_SCORE", 8.0),
        "undo_s": read.number("UNDO_S", 10, least=0, most=UNDO_MAX_S),
    }

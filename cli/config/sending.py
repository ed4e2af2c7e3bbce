"""Settings of mail that users send."""

from dataclasses import dataclass, replace
from typing import Any

from cli.config.edge import PROCESSES_MAX
from cli.config.relay import RelaySettings, relay_settings
from cli.config.setting_reader import SettingReader
from edge.trusted_networks import Networks
from mail.sending.sending_limits import SendingLimit, SendingLimits
from schemas.directory import SENDING_MAX

UNDO_MAX_S = 60
_DEFAULTS = SendingLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingSettings(RelaySettings):
    """The part of Config about submissions, after that of delivery."""

    msa_processes: int  # that share both submission ports
    submission_connections_max: int  # of each msa process
    submission_connections_per_peer_max: int
    submission_proxies: Networks  # connections from here to the port with STARTTLS: a PROXY header
    submission_fds: tuple[int, ...]  # inherited listening sockets, instead of a port
    submissions_fds: tuple[int, ...]

    outgoing_spam_score: float  # from this score on a mail is not sent
    undo_s: int  # how long a mail that is sent by the API can be canceled
    send_mails_per_minute: int  # of one user; 0: any number
    send_mails_per_hour: int
    send_mails_per_day: int
    send_recipients_per_minute: int  # of all mails of one user
    send_recipients_per_hour: int
    send_recipients_per_day: int

    @property
    def sending_limits(self) -> SendingLimits:
        """What one user may send, by the API and by SMTP together."""
        return SendingLimits(
            minute=replace(
                _DEFAULTS.minute,
                mails=self.send_mails_per_minute,
                recipients=self.send_recipients_per_minute,
            ),
            hour=replace(
                _DEFAULTS.hour,
                mails=self.send_mails_per_hour,
                recipients=self.send_recipients_per_hour,
            ),
            day=replace(
                _DEFAULTS.day,
                mails=self.send_mails_per_day,
                recipients=self.send_recipients_per_day,
            ),
        )


def sending_settings(read: SettingReader) -> dict[str, Any]:
    """The fields of SendingSettings. Raises BadSetting."""
    return {
        **relay_settings(read),
        **_server(read),
        "outgoing_spam_score": read.score("OUTGOING_SPAM_SCORE", 8.0),
        "undo_s": read.number("UNDO_S", 10, least=0, most=UNDO_MAX_S),
        **_limits(read, _DEFAULTS.minute),
        **_limits(read, _DEFAULTS.hour),
        **_limits(read, _DEFAULTS.day),
    }


def _server(read: SettingReader) -> dict[str, Any]:
    """The settings of the submission server."""
    return {
        "msa_processes": read.number("MSA_PROCESSES", 1, least=1, most=PROCESSES_MAX),
        "submission_connections_max": read.number(
            "SUBMISSION_CONNECTIONS_MAX", 500, least=1, most=20_000
        ),
        "submission_connections_per_peer_max": read.number(
            "SUBMISSION_CONNECTIONS_PER_PEER_MAX", 50, least=1, most=20_000
        ),
        "submission_proxies": read.networks("SUBMISSION_PROXIES"),
        "submission_fds": read.numbers("SUBMISSION_FDS"),
        "submissions_fds": read.numbers("SUBMISSIONS_FDS"),
    }


def _limits(read: SettingReader, default: SendingLimit) -> dict[str, int]:
    """The settings of one period."""
    return {
        f"send_{what}_per_{default.name}": read.number(
            f"SEND_{what.upper()}_PER_{default.name.upper()}", most, least=0, most=SENDING_MAX
        )
        for what, most in (("mails", default.mails), ("recipients", default.recipients))
    }

"""Counters of one SMTP server."""

from collections import Counter
from dataclasses import dataclass, field

from mail.histogram import Histogram


@dataclass(slots=True, kw_only=True)
class SmtpStats:
    """Plain numbers that the metrics endpoint reads. Connections: edge/connection_limits.py."""

    bad_proxy_headers_total: int = 0  # connections of trusted proxies closed without a valid header
    tls_total: int = 0
    sign_ins_total: int = 0  # of the submission server
    accepted_total: int = 0  # mails that got 250
    accepted_bytes_total: int = 0  # with their trace headers
    refused_total: Counter[str] = field(default_factory=Counter)  # by "550 5.1.1"
    accept_times: Histogram = field(default_factory=Histogram)  # first byte of DATA to the 250
    data_in_progress: int = 0
    held_bytes: int = 0  # memory of mails in progress

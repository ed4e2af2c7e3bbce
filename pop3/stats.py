"""Counters of one POP3 server."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Pop3Stats:
    """Plain numbers that the metrics endpoint reads. Connections: edge/connection_limits.py."""

    bad_proxy_headers_total: int = 0  # connections of trusted proxies closed without a valid header
    tls_total: int = 0
    sign_ins_total: int = 0
    refused_total: Counter[str] = field(default_factory=Counter)  # by response code, "" without
    sent_messages_total: int = 0  # by RETR and TOP
    sent_bytes_total: int = 0  # of these messages
    deleted_messages_total: int = 0
    maildrops: int = 0  # open now
    held_messages: int = 0  # in the views of open maildrops

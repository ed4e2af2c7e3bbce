"""Schemas of the query parameters that the admin API has alone."""

from typing import Any

from api.admin.trace import WITHIN_MAX_MIN
from api.rest.parameters import ADDRESS_MAX_CHARS
from operations.stack_status import MINUTES_MAX

_NAME = {"type": "string", "maxLength": ADDRESS_MAX_CHARS}
ADMIN_QUERY: dict[str, dict[str, Any]] = {
    "minutes": {"type": "integer", "minimum": 1, "maximum": MINUTES_MAX, "default": MINUTES_MAX},
    "cause": _NAME,
    "domain": _NAME,
    "address": _NAME,
    "sender": _NAME,
    "reason": {**_NAME, "description": "A part of the last result's code or text."},
    "held": {"type": "boolean"},
    "mail_id": {"type": "string", "maxLength": 64},
    "stage": _NAME,
    "name": {"type": "string", "description": "A mail id, a message's id or a Message-ID."},
    "recipient": _NAME,
    "around": {"type": "string", "description": "A day or a time (RFC 3339); default: now."},
    "within_min": {"type": "integer", "minimum": 1, "maximum": WITHIN_MAX_MIN, "default": 60},
    "check": {"type": "boolean"},
}

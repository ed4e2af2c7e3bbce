"""Which ids a content may have: they become names of files and objects, so they hide no path."""

import re

CONTENT_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")


def check_content_id(mail_id: str) -> str:
    """`mail_id`, fit to be a name. ValueError: not 1 to 64 of the characters 0-9A-Za-z_-."""
    if not is_content_id(mail_id):
        msg = f"{mail_id!r} is no mail id"
        raise ValueError(msg)
    return mail_id


def is_content_id(ref: str) -> bool:
    return CONTENT_ID.fullmatch(ref) is not None

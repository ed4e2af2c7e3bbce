"""MAIL and RCPT commands of a transmission, with the parameters that the peer offers.

RFC 5321 §4.1.1.2, §4.1.1.3; SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), DSN (RFC 3461).
"""

import re

from mail.addresses import normal_domain, split_address
from mail.errors import BadAddress
from mail.ports.mail_transport import ForwardPath, Transmission
from mail.sending import xtext
from smtp.client.capabilities import Capabilities

_NOTIFY = frozenset({"NEVER", "SUCCESS", "FAILURE", "DELAY"})
_ENVID_MAX_CHARS = 100  # RFC 3461 §4.4
_ORCPT_MAX_CHARS = 500  # §4.2
_ORCPT = re.compile(r"[A-Za-z0-9-]{1,40};.")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def needs_smtputf8(transmission: Transmission) -> bool:
    """Whether a header field or a local part is not ASCII; domains have A-labels instead."""
    paths = (transmission.reverse_path, *(each.address for each in transmission.recipients))
    return transmission.smtputf8 or not all(path.rpartition("@")[0].isascii() for path in paths)


def check_path(path: str) -> None:
    """Check an address that is to be a path; "" is the null reverse-path. Raises BadAddress."""
    if path:
        split_address(path)
        if _CONTROLS.search(path):
            raise BadAddress("the address has a control character")


def mail_command(transmission: Transmission, offered: Capabilities) -> bytes:
    """MAIL with its parameters, in UTF-8 and with its CRLF."""
    utf8 = needs_smtputf8(transmission)
    words = [f"MAIL FROM:<{_path(transmission.reverse_path, utf8=utf8)}>"]
    if offered.size_max_bytes is not None:
        words.append(f"SIZE={len(transmission.prefix) + transmission.size_bytes}")
    if transmission.eight_bit or utf8:
        words.append("BODY=8BITMIME")
    if utf8:
        words.append("SMTPUTF8")
    if offered.dsn and transmission.ret:
        words.append(f"RET={transmission.ret}")
    if offered.dsn and transmission.envid and transmission.envid.isascii():
        envid = xtext.encode(transmission.envid)
        words += [f"ENVID={envid}"] if len(envid) <= _ENVID_MAX_CHARS else []
    return f"{' '.join(words)}\r\n".encode()


def rcpt_command(recipient: ForwardPath, offered: Capabilities, *, utf8: bool) -> bytes:
    """RCPT with its parameters, in UTF-8 and with its CRLF."""
    words = [f"RCPT TO:<{_path(recipient.address, utf8=utf8)}>"]
    if offered.dsn and recipient.notify and _NOTIFY.issuperset(recipient.notify):
        words.append(f"NOTIFY={','.join(recipient.notify)}")
    if offered.dsn and _ORCPT.match(recipient.orcpt):
        orcpt = xtext.encode_address(recipient.orcpt)
        words += [f"ORCPT={orcpt}"] if len(orcpt) <= _ORCPT_MAX_CHARS else []
    return f"{' '.join(words)}\r\n".encode()


def _path(path: str, *, utf8: bool) -> str:
    if utf8 or path.isascii():
        return path
    local, domain = split_address(path)
    return f"{local}@{normal_domain(domain)}"

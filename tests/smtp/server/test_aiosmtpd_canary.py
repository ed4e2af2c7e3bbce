"""Internals of aiosmtpd that the server relies on; fails when an upgrade changes them."""

import ast
import asyncio
import inspect
import textwrap

from aiosmtpd.smtp import SMTP

from smtp.server.connection import SmtpConnection
from smtp.server.session import SmtpSession

NOT_NEEDED = {  # AUTH, PROXY, hooks and call limits are not offered; the rest is ours
    "__ident__", "_call_limit_base", "_call_limit_default",
    "_auth_callback", "_auth_methods", "_auth_require_tls", "_authenticator",
    "_ehlo_hook_ver", "_enforce_call_limit", "_proxy_timeout", "_tls_handshake_okay",
    "_tls_protocol", "data_size_limit",
}  # fmt: skip
OVERRIDDEN = {"connection_made", "connection_lost", "eof_received", "_timeout_cb", "push"}
CALLED = {"_reset_timeout", "_set_rset_state", "_set_post_data_state", "_create_session"}
CALLED |= {"check_helo_needed", "_cb_client_connected", "smtp_NOOP", "smtp_RSET", "smtp_QUIT"}


def set_by(constructor) -> set[str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(constructor)))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }


def test_our_constructor_sets_what_its_methods_need():
    stock = set_by(SMTP.__init__)
    lacking = {name for name in stock if not hasattr(SmtpSession, name)} - set_by(
        SmtpConnection.__init__
    )
    assert lacking - {"envelope"} <= NOT_NEEDED  # connection_made creates the envelope


def test_the_methods_that_we_replace_and_call_are_there():
    for name in OVERRIDDEN | CALLED | {"_handle_client", "_create_envelope", "smtp_HELP"}:
        assert callable(getattr(SMTP, name)), name


def test_the_stream_keeps_its_bytes_where_we_put_them_back():
    loop = asyncio.new_event_loop()
    reader = asyncio.StreamReader(loop=loop)
    loop.close()
    assert isinstance(reader._buffer, bytearray)
    assert {"_limit", "_transport", "_paused"} <= set(vars(reader))

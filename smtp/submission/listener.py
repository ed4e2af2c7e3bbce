"""Submission server: listening sockets and their connections. From the 250 on a mail is our duty.

Reads the directory (sign-in, own addresses, recipients), usage, and the submission store (limits of
sending). Emits submission.submit; content over `inline_max_bytes` is stored before. Refuses in the
dialogue: who is not signed in, a sender that is not the user's, unknown local recipients, other
domains without a relay, content that cannot be sent, no room for the copy in Sent.
Broker or a store unavailable: 451 or 454 within a time limit. Killed at any line: the client sends
again what got no 250.
"""

import logging
import ssl

from edge.connections import SocketArguments, listening_sockets
from smtp.server.listener import SmtpListeners
from smtp.server.stats import SmtpStats
from smtp.submission.config import SubmissionConfig
from smtp.submission.context import SubmissionContext
from smtp.submission.ports import MsaPorts
from smtp.submission.session import SubmissionSession

log = logging.getLogger(__name__)


class SubmissionServer(SmtpListeners):
    """The server for the users' mail programs."""

    def __init__(self, config: SubmissionConfig, *, ports: MsaPorts, tls: ssl.SSLContext) -> None:
        super().__init__(
            SubmissionContext(
                config=config,
                ports=ports,
                resolver=ports.resolver,
                room=ports.room,
                gate=ports.gate,
                stats=SmtpStats(),
                tls=tls,
            )
        )
        self._config = config
        self._tls = tls
        self.port = self.tls_port = 0

    async def start(self) -> None:
        """Start to listen on both ports. Raises OSError: a port is taken."""
        config = self._config
        shared: SocketArguments = {"host": config.host, "reuse_port": config.reuse_port}
        for arguments in listening_sockets(config.descriptors, port=config.port, **shared):
            listener = await self.listen(SubmissionSession, arguments)
            self.port = int(listener.sockets[0].getsockname()[1])
        tls = {"ssl": self._tls, "ssl_handshake_timeout": config.tls_handshake_s}
        for arguments in listening_sockets(config.tls_descriptors, port=config.tls_port, **shared):
            listener = await self.listen(SubmissionSession, arguments | tls)
            self.tls_port = int(listener.sockets[0].getsockname()[1])
        log.info("submission listens on %s ports %d, %d", config.host, self.port, self.tls_port)

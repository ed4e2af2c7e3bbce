"""Context that all connections of one submission server share."""

from dataclasses import dataclass, field

from smtp.server.context import ConnectionContext
from smtp.submission.acceptance import SubmissionAcceptance
from smtp.submission.config import SubmissionConfig
from smtp.submission.ports import MsaPorts


@dataclass(slots=True, kw_only=True)
class SubmissionContext(ConnectionContext):
    """Created once by the server, read by its connections."""

    config: SubmissionConfig
    ports: MsaPorts
    acceptance: SubmissionAcceptance = field(init=False)

    def __post_init__(self) -> None:
        ConnectionContext.__post_init__(self)
        self.acceptance = SubmissionAcceptance(self.config, self.stats, self.ports)

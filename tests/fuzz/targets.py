"""All fuzz targets."""

from tests.fuzz import edge, mails, pop3, smtp, submission, texts

TARGETS = (
    *mails.TARGETS, *smtp.TARGETS, *submission.TARGETS, *pop3.TARGETS, *texts.TARGETS,
    *edge.TARGETS,
)  # fmt: skip

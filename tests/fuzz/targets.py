"""All fuzz targets."""

from tests.fuzz import edge, mails, pop3, smtp, submission, texts, views

TARGETS = (
    *mails.TARGETS, *smtp.TARGETS, *submission.TARGETS, *pop3.TARGETS, *texts.TARGETS,
    *edge.TARGETS, *views.TARGETS,
)  # fmt: skip

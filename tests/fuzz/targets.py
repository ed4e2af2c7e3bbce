"""All fuzz targets."""

from tests.fuzz import edge, mails, pop3, smtp, texts

TARGETS = (*mails.TARGETS, *smtp.TARGETS, *pop3.TARGETS, *texts.TARGETS, *edge.TARGETS)

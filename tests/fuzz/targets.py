"""All fuzz targets."""

from tests.fuzz import edge, mails, smtp, texts

TARGETS = (*mails.TARGETS, *smtp.TARGETS, *texts.TARGETS, *edge.TARGETS)

"""Ids of mails, users, domains and messages, one type each: the type checker finds swapped ids.

All are text at run time and in storage. mail/ids.py makes ids and derives ids from ids.
"""

from typing import NewType

MailId = NewType("MailId", str)
UserId = NewType("UserId", str)
DomainId = NewType("DomainId", str)
MessageId = NewType("MessageId", str)

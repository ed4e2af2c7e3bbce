"""Ids of records, one type for each kind of record: the type checker finds swapped ids.

All are text at run time and in storage. mail/ids.py makes ids and derives ids from ids.
"""

from typing import NewType

MailId = NewType("MailId", str)
UserId = NewType("UserId", str)
DomainId = NewType("DomainId", str)
MessageId = NewType("MessageId", str)
FolderId = NewType("FolderId", str)
ThreadId = NewType("ThreadId", str)
CommandId = NewType("CommandId", str)
DraftId = NewType("DraftId", str)
SubmissionId = NewType("SubmissionId", str)  # equal to the id of the submitted mail
UploadId = NewType("UploadId", str)

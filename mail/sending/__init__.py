"""Sending mail: rules of submissions, and of delivery to other servers, without network.

The states of a submission (submission_rows), who may send as whom (sender_check), when an attempt
is repeated (retry_schedule), which octets may be sent (sendable_content), the reverse-path to which
bounces come back (reverse_path).
May import: mail, schemas.
"""

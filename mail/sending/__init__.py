"""Sending mail: rules of submissions, and of delivery to other servers, without network.

The states of a submission (submission_rows), the addresses that a user may send from
(sender_check), when an attempt is repeated (retry_schedule), which octets may be sent
(sendable_content), DKIM signatures and keys (dkim, dkim_keys), the reverse-path to which bounces
come back (reverse_path), delivery status notifications (delivery_status, incoming_status).
May import: mail, schemas.
"""

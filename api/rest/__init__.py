"""REST resources under /v1: a file has the types, handlers and routes of one resource.

Shared: parameters, responses, conditional_requests, mailbox_commands, reading/message_parsing.

May import: api, mail, schemas.
"""

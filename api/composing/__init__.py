"""Mail that the caller writes: from the body of a request to a composed mail.

requests.py: the bodies; sender.py, originals.py and attachments.py: what they refer to;
submission.py: `compose_submission`, and what it shares with drafts; drafts.py: /v1/drafts.
May import: api, edge, mail, schemas.
"""

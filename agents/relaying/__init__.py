"""Delivery to other servers: it takes too long for the handling of an event.

outbound.py makes the events of mail.relay for a mail that passed the checks; relay_worker.py claims
due rows of the queue; attempt.py sends one mail to one domain; relay_reports.py reports results to
submissions, and ends what was held for settled mails.
May import: agents, mail, schemas.
"""

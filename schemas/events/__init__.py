"""Events on the Kafka topics, each a frozen struct with a versioned tag.

mail.py: a mail on its way; mailbox_commands.py: requests to a mailbox; mailbox_events.py: changes
of a mailbox; unions.py: all of them; legacy.py: tags that earlier versions wrote.
May import: schemas.
"""

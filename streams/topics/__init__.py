"""Topics and access lists on the broker.

admin.py creates and checks topics, epochs.py and ids.py identify them, retention.py deletes records
that every group has committed, access_rules.py and access_lists.py say who may read and write.
May import: streams, mail, schemas.
"""

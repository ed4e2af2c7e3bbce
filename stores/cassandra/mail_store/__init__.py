"""MailStore on Cassandra: journal first, then views, then the state.

store.py is the adapter. commit_plan.py computes all rows that a step writes, before anything is
written; they are stored with the journal's entry, so a step that was cut short is finished by
writing them again. ownership.py is the fence between two writers of a mailbox, stamps.py the
timestamps of all its statements, and
statements.py sends them. check/ compares a mailbox with its journal.
May import: stores.cassandra, mail, schemas.
"""

"""MailStore in mail.sqlite: journal, state, message rows, lists, threads.

store.py is the adapter; the other modules are statements that run inside a caller's transaction.
May import: stores.sqlite, mail, schemas.
"""

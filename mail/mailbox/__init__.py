"""Mailbox rules: pure functions of a command and the state before it.

command_rules.py decides single commands, bulk_commands.py commands on whole folders,
commit_builder.py collects the changes; journal_replay.py derives every view from the journal.
May import: mail.ports, the base modules of mail, schemas.
"""

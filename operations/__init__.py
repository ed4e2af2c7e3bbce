"""Operators' use cases as functions over ports, for the command line and an admin API.

audit, trace, verify and rebuild check and repair; quarantine and dead_letters act on mail that was
set aside; accounts and quotas change the directory.
May import: agents, edge, streams, mail, schemas; never cli, api, stores or stack.
"""

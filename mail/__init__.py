"""Domain of mail: rules without network, disk or engine, and the ports to the world.

Subjects: mime and html (reading mail), composing (writing mail), query and search, mailbox
(commands and views), directory (addresses, aliases, quotas), ledger (accepted mails), sending (to
other servers). ports/ declares what adapters provide.
durable_files.py, the one module that writes to disk, serves adapters of several packages.
May import: schemas. The order of the subjects is an import-linter contract in pyproject.toml.
"""

"""Redis adapters of the distributed profile: what edges of several hosts count together.

client.py runs scripts on the caller's event loop. Nothing here is needed for a mail: without Redis
each process counts for itself (edge/outage_switch.py).
May import: mail, schemas.
"""

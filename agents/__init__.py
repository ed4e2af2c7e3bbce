"""Stages of the topology, one module each: validate, scan, route, mailbox, index.

A stage is a function of an event, an attempt and its ports (ports.py); it returns events. The
mailbox stage has four modules: mailbox.py, mailbox_failures.py, mailbox_parking.py,
mailbox_rebuild.py. background/ has the periodic jobs.
May import: parsing (in-process default), mail, schemas; adapters are passed in by cli.
"""

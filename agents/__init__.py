"""Stages of the topology, one module each: validate, scan, route, mailbox, index.

A stage is a function of an event, an attempt and its ports (ports.py); it returns events.
background/ holds periodic jobs beside the stages.
May import: parsing (in-process default), mail, schemas; adapters are passed in by cli.
"""

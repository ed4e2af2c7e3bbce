"""Engines on this machine: Kafka, clamd, freshclam, spamd: configuration and start.

May import: stack.
"""

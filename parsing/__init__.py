"""Adapters of the Parser port: child processes with limits of memory and time, or in-process.

pool.py starts, asks and replaces the children; child.py is their program.
May import: mail, schemas.
"""

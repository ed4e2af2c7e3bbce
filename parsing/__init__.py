"""Adapters of the Parser port: child processes with limits of memory and time, or in-process.

pool.py starts, calls and replaces the children; child.py is their program; in_process.py is for
tests and small tools.
May import: mail, schemas.
"""

"""Processes of the stack, one module per role, and their health endpoint.

May import: everything.
"""

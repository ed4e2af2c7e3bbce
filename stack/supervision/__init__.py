"""Supervisor of the stack's processes: start, probe, restart, stop, report.

May import: stack.
"""

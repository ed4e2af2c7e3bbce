"""Command line and composition root: the only package that knows every other one.

main.py lists the commands, roles/ the processes, wiring/ which adapter serves which port.
May import: everything.
"""

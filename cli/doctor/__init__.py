"""Checks of `postriver doctor`: machine, settings, state folder, engines, streams.

May import: everything.
"""

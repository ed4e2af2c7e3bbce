"""Commands of `postriver`: arguments in, text out. The work is in operations and backup.

May import: everything.
"""

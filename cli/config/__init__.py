"""Settings from the environment, read once and checked before anything starts.

May import: edge, mail, stack.
"""

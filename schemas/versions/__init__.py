"""Versions of what engines hold, and what brings a part of them to another version.

change.py is the value, topics.py the version of the topics; other versions are those of the tables.
May import: nothing of this project.
"""

"""Data shared by all processes: events, store rows, SQL tables and migrations.

Contents are msgspec structs without behaviour beyond conversion. A stored field keeps its name;
a new field has a default; a changed meaning is a new tag (schemas/events/legacy.py reads the old).
May import: nothing of this project.
"""

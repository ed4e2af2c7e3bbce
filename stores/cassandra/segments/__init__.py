"""Segments: objects of at most 8 MiB that hold many small contents.

packer.py moves rows of contents into segments, compactor.py moves contents out of segments of which
half is gone, finishes what a killed process began, and deletes empty segments. Both write segments
by segment_writer.py; records.py has the records of segments. Any number of them may run at once and
be killed at any request: a place is changed by compare-and-set only, and a body is deleted after no
place names it and no change under way can.
May import: stores.cassandra, mail, schemas.
"""

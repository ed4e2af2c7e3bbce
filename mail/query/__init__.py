"""Search language: text to query tree, tree to text, and what a query matches.

parser.py reads, formatter.py writes, planner.py splits a query between the index and the message
rows, matcher.py defines a match for every index.
May import: the base modules of mail, schemas.
"""

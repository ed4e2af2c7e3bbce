"""Search language: query text to query tree, tree to text, and the definition of a match.

parser.py parses, formatter.py formats, planner.py splits a query between the index and the message
rows, matcher.py defines a match for every index, highlighter.py marks matches for display.
May import: the base modules of mail, schemas.
"""

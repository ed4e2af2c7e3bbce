"""Mappings of the search index in OpenSearch, with versions.

A change of SEARCH needs a higher SEARCH_VERSION: a new index is made, and filled from mailboxes.
May import: schemas.
"""

"""Mappings of the search index in OpenSearch, with versions.

A change of SEARCH or PROGRESS needs a higher SEARCH_VERSION: new indices are made and filled.
May import: schemas.
"""

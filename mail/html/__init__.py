"""HTML of untrusted mail: sanitising for display, and text extraction for search.

One tokenizer serves both; no document tree is built.
May import: the base modules of mail.
"""

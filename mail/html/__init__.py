"""HTML of untrusted mail: sanitising for display, and text extraction for search and previews.

Both use one tokenizer; no document tree is built here.
May import: the base modules of mail.
"""

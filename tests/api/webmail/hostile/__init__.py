"""Hostile mails, and the check that a browser must pass with each of them."""

"""Proof of exactly-once sending: posts repeated through two edges while processes are killed."""

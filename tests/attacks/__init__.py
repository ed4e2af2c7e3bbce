"""Attacks of outsiders and users on a running stack, and the service that other users still get.

Each attack is many times stronger than necessary: without the defence, the victim would wait for
minutes. The time limits of the tests can therefore be generous.
"""

"""Faust workers without Faust's ways of losing events: one process per role.

worker.py owns the Faust app, harness.py binds a stage to it, event_handling.py decides what
becomes of each event, in_flight_window.py acknowledges events in arrival order.
May import: streams, mail, schemas.
"""

"""Faust workers that lose no event: one process per role.

worker.py owns the Faust app and its stages. harness.py binds a stage to an agent of the app.
in_flight_window.py runs the events of a partition and acknowledges them in arrival order.
event_handling.py decides what becomes of each event; hold.py repeats a step during an outage.
stage_handler.py binds an agent's function to its ports. context.py is what the stages share.
attempt_notes.py and attempt_turns.py find the event that kills the process.
May import: streams, mail, schemas.
"""

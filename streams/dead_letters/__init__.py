"""Dead letter queue (topic dead.letters).

parking.py moves an event there. set_aside.py and park_requests.py park an event at an operator's
request. records.py and headers.py decode records. admin.py lists, redrives and discards.
May import: streams, mail, schemas.
"""

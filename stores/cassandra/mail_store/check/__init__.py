"""Comparison of a mailbox with its journal, and the rows that repair it; memory is bounded.

mailbox_check.py runs the parts. What a part needs in another order than it is read in goes through
sorted rows (stores/sorted_rows.py): changes of the journal by message, the expected rows of lists
by their keys, messages by thread.
May import: stores.cassandra, mail, schemas.
"""

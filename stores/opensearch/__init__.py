"""Search index of the distributed profile, on OpenSearch.

client.py sends requests, bulk_writer.py gathers writes, generations.py names the indices, query.py
makes the queries, index.py is the adapter. OpenSearch stores and finds the tokens of mail/query/;
it does not analyse texts itself.
May import: mail, schemas.
"""

"""Objects on an S3 server: the large contents of the distributed profile.

stores/cassandra/content_store.py says where the content of a mail is.
May import: mail, schemas.
"""

"""The admin API: what operators do by HTTP, with the functions of operations/.

route.py admits operators only; acts.py notes each act before it is carried out. Left out with
POSTRIVER_ADMIN=off.
May import: api, edge, mail, operations, schemas.
"""

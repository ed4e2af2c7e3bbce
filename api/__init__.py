"""HTTP API on aiohttp: REST, push and the webmail. Knows ports, no engines.

app.py assembles the application, routes.py lists every route, context.py is what handlers share.
May import: edge, mail, schemas. Ports are passed in by cli.
"""

"""HTTP API on aiohttp: REST, push and the webmail. Knows ports, no engines.

app.py assembles the application; routes.py lists all routes; context.py is what handlers share. A
file of rest/ is one resource: request and response types, handlers and routes.
May import: edge, mail, schemas. Ports are passed in by cli.
"""

"""The aiohttp edge: REST, push and one small page. It knows ports (mail/ports.py), no engines."""

"""The aiohttp edge: REST, push and one small page. It knows ports (mail/ports/), no engines."""

"""All routes. The file of each resource declares ROUTES next to the handlers."""

from api import health
from api.admin.routes import ADMIN_ROUTES
from api.composing import drafts, sending
from api.config import ApiConfig
from api.push import websocket
from api.rest import (
    app_passwords,
    bulk_updates,
    changes,
    folders,
    login,
    me,
    message_lists,
    message_updates,
    sessions,
    start,
    threads,
    uploads,
)
from api.rest.batches import resource as batches
from api.rest.reading import archive, downloads, images, message, unsubscribe, view
from api.rest.searching import search, suggestions
from api.rest.sending import submissions
from api.rest.settings import addresses, document, identities
from api.route import Route

ROUTES: tuple[Route, ...] = (
    *login.ROUTES,
    *start.ROUTES,
    *me.ROUTES,
    *sessions.ROUTES,
    *app_passwords.ROUTES,
    *document.ROUTES,
    *identities.ROUTES,
    *addresses.ROUTES,
    *folders.ROUTES,
    *drafts.ROUTES,
    *message_lists.ROUTES,
    *threads.ROUTES,
    *message.ROUTES,
    *view.ROUTES,
    *images.ROUTES,
    *message_updates.ROUTES,
    *bulk_updates.ROUTES,
    *batches.ROUTES,
    *downloads.ROUTES,
    *archive.ROUTES,
    *unsubscribe.ROUTES,
    *uploads.ROUTES,
    *sending.ROUTES,
    *submissions.ROUTES,
    *search.ROUTES,
    *suggestions.ROUTES,
    *changes.ROUTES,
    *websocket.ROUTES,
    *health.ROUTES,
    *ADMIN_ROUTES,
)


def routes_of(config: ApiConfig) -> tuple[Route, ...]:
    """The routes of an API with these settings."""
    return ROUTES if config.admin else tuple(each for each in ROUTES if each not in ADMIN_ROUTES)

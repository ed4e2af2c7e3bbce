"""All routes of the admin API."""

from api.admin import acts, dead_letters, domains, health, quarantine, queue, trace, users
from api.route import Route

ADMIN_ROUTES: tuple[Route, ...] = (
    *health.ROUTES,
    *acts.ROUTES,
    *quarantine.ROUTES,
    *queue.ROUTES,
    *dead_letters.ROUTES,
    *trace.ROUTES,
    *users.ROUTES,
    *domains.ROUTES,
)

"""The server list: which of mine need me?"""

from django.db.models import OuterRef, QuerySet, Subquery

from controlpanel.access.gate import Permission, needs
from controlpanel.access.models import User
from controlpanel.web import page
from controlpanel.web.listing import Filter, Listing
from controlpanel.web.words import LOOKS
from servers import catalog, saved_filters
from servers.bulk import offered
from servers.jobs.discretion import Discretion
from servers.jobs.models import Job
from servers.models import Server, Tag
from servers.selecting import SEARCH

WORDS = ("needs-you", "working", "absent", "checking", "unknown", "paused")
_SORTS = {
    "name": ("name",),
    "address": ("address", "port"),
    "connection": ("reach", "name"),
    "checked": ("checked_at", "name"),
    "added": ("created_at",),
}


@needs(Permission.VIEW)
def index(request, archived: bool = False):
    mine = Server.objects.visible_to(request.user)
    servers = mine.filter(archived_at__isnull=not archived)
    listing = Listing(
        request,
        servers.distinct().prefetch_related("tags").annotate(last_job=_last_job()),
        search=SEARCH,
        filters=filters(request.user),
        sorts=_SORTS,
        default_sort="name",
    )
    listing.page.object_list = rows = list(listing.rows)
    context = {
        "listing": listing,
        "services": _dress(rows, request.user),
        "archived": archived,
        "any": rows or mine.exists(),
        "entries": [] if archived else offered(request.user),
        "saved": saved_filters.of(request.user),
    }
    context["archive"] = 0 if archived else mine.filter(archived_at__isnull=False).count()
    return page.render(request, "servers/list.html", context)


def _last_job():
    return Subquery(Job.objects.filter(server=OuterRef("pk")).order_by("-pk").values("pk")[:1])


def filters(viewer: User) -> list[Filter]:
    """What the list can be narrowed by, those of the services included."""
    tags = Tag.objects.filter(servers__in=Server.objects.visible_to(viewer)).distinct()
    return [
        Filter("state", "State", [(word, LOOKS[word].word) for word in WORDS], _in_state),
        Filter("tag", "Tag", [(tag.name, tag.name) for tag in tags], lambda rows, value: rows.filter(tags__name=value)),
        *(choice for service in catalog.services() for choice in service.filters(viewer)),
    ]


def _in_state(rows: QuerySet, word: str) -> QuerySet:
    """Servers with any service in this state; "needs you" also takes those whose last check failed."""
    servers = list(rows.only("pk", "reach"))
    wanted = {s.pk for s in servers if word == "needs-you" and s.in_trouble}
    for service in _shown():
        wanted |= {pk for pk, state in service.states(servers).items() if state.word == word}
    return rows.filter(pk__in=wanted)


def _shown() -> list[catalog.Service]:
    return [service for service in catalog.services() if not service.hidden]


def _dress(rows: list[Server], viewer: User) -> list[str]:
    """Gives each row `.states` (one per service, in the order of the labels returned) and `.job`."""
    shown = _shown()
    states = [service.states(rows) for service in shown]
    jobs = Job.objects.in_bulk([row.last_job for row in rows if row.last_job])
    absent, seen = catalog.State("absent"), Discretion(viewer, [row.pk for row in rows])
    for row in rows:
        labels = [service.label for service in shown]
        row.states = list(zip(labels, [seen.state(row.pk, found.get(row.pk, absent)) for found in states], strict=True))
        row.job = jobs.get(row.last_job)
    return [service.label for service in shown]

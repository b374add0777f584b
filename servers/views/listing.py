"""The server list: which of mine need me?"""

from django.db.models import Exists, OuterRef, Subquery

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
from servers.remote.cloud import LABELS
from servers.selecting import SEARCH
from servers.standing import shown, standing, words

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
        servers.prefetch_related("tags"),
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


def _last_jobs(rows: list[Server]) -> dict:
    """{server id: its newest job}, asked for the rows of the page alone."""
    newest = Job.objects.filter(server=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    shown = Server.objects.filter(pk__in=[row.pk for row in rows]).order_by()
    last = shown.annotate(last_job=Subquery(newest)).values("last_job")
    return {job.server_id: job for job in Job.objects.filter(pk__in=last).order_by().defer("result", "outcome", "hint")}


def filters(viewer: User) -> list[Filter]:
    """What the list can be narrowed by, those of the services included."""
    states = [(word, LOOKS[word].word) for word in words()]
    worn = Server.tags.through.objects.filter(server__in=Server.objects.visible_to(viewer), tag=OuterRef("pk"))
    tags = Tag.objects.filter(Exists(worn))
    clouds = Server.objects.visible_to(viewer).order_by("cloud").values_list("cloud", flat=True).distinct()
    return [
        Filter("state", "State", states, lambda rows, word: rows.filter(standing(word))),
        Filter("tag", "Tag", [(tag.name, tag.name) for tag in tags], lambda rows, value: rows.filter(tags__name=value)),
        _cloud(list(clouds[: len(LABELS) + 1])),
        *(choice for service in catalog.services() for choice in service.filters(viewer)),
    ]


def _cloud(present: list[str]) -> Filter:
    """Without a menu where no server's cloud is known."""
    known = [(slug, LABELS[slug]) for slug in present if slug in LABELS]
    return Filter("cloud", "Cloud" if known else "", known, lambda rows, slug: rows.filter(cloud=slug))


def _dress(rows: list[Server], viewer: User) -> list[str]:
    """Gives each row `.states` (one per service, in the order of the labels returned) and `.job`."""
    services = shown()
    states = [service.states(rows) for service in services]
    jobs = _last_jobs(rows)
    absent, seen = catalog.State("absent"), Discretion(viewer, [row.pk for row in rows])
    for row in rows:
        labels = [service.label for service in services]
        row.states = list(zip(labels, [seen.state(row.pk, found.get(row.pk, absent)) for found in states], strict=True))
        row.job = jobs.get(row.pk)
    return [service.label for service in services]

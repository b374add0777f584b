"""The tabs of one server."""

from django.template.loader import render_to_string
from django.urls import reverse

from controlpanel.access.gate import Permission, may, needs
from controlpanel.web import page
from controlpanel.web.listing import Listing
from servers import catalog, trust
from servers.jobs.discretion import told
from servers.views.reach import around, one


@needs(Permission.VIEW)
def overview(request, pk):
    server = one(request, pk)
    context = around(request, server, "servers:server") | {
        "pinned": trust.pinned(server),
        "waiting": trust.waiting(server),
        "last_jobs": told(server.jobs.with_names().defer("result")[:5], request.user),
        "staff": may(request.user, Permission.AUDIT) or may(request.user, Permission.USE_SHARED),
    }
    return page.render(request, "servers/overview.html", context)


@needs(Permission.VIEW)
def services(request, pk):
    return services_page(request, one(request, pk))


def services_page(request, server, contexts: dict | None = None, status: int = 200):
    """The Services tab. A service answers a refused form with it: contexts={"gateway": {"form": form}}, status=422."""
    cards = []
    for service in catalog.services():
        if not service.hidden:
            own = {"server": server, "service": service} | service.context(request, server)
            own |= (contexts or {}).get(service.slug, {})
            cards.append({"service": service, "html": render_to_string(service.panel, own, request)})
    context = around(request, server, "servers:services") | {"cards": cards}
    return page.render(request, "servers/services.html", context, status=status)


@needs(Permission.VIEW)
def jobs(request, pk):
    server = one(request, pk)
    rows = server.jobs.with_names().defer("result")
    listing = Listing(request, rows, sorts={"asked": ("pk",)}, default_sort="-asked")
    listing.page.object_list = told(listing.rows, request.user)
    context = around(request, server, "servers:jobs") | {"listing": listing}
    context["services_url"] = reverse("servers:services", args=[server.pk])
    return page.render(request, "servers/jobs.html", context)

"""Where in the panel the cause of a failed gateway job is mended."""

from collections.abc import Iterable
from urllib.parse import urlencode

from django.urls import reverse

from controlpanel.access.gate import Permission, may
from controlpanel.access.models import User
from gateway.choice import knows_details
from gateway.models import Gateway, Smarthost
from servers.jobs.models import Job

# Areas of an explanation, and the words of the link to where they are mended. "none" has no place.
VALUES = {"credentials": "Fix credentials", "sender": "Fix sender", "port": "Fix server and port"}
AT_PROVIDER = {"provider": "Open the provider"}
AT_DOMAINS = {"dns": "See what DNS says"}
AT_SERVER = {"server": "Open its services", "recipient": "Try another recipient"}
WORDS = VALUES | AT_PROVIDER | AT_DOMAINS | AT_SERVER


def mends(viewer: User, jobs: Iterable[Job]) -> dict[int, tuple[str, str]]:
    """{job id: (words, address)}: the provider's own page for whoever may change it, else the form of the server; for
    DNS the sending domains this person knows of."""
    areas = {job: job.result.get("explanation", {}).get("area") for job in jobs}
    asked = {job: area for job, area in areas.items() if area in WORDS}
    gateways = Gateway.objects.filter(server__in={job.server_id for job in asked}).select_related("wanted")
    wanted = {gateway.server_id: gateway.wanted for gateway in gateways}
    return {job.pk: _link(viewer, job, area, wanted.get(job.server_id)) for job, area in asked.items()}


def _link(viewer: User, job: Job, area: str, smarthost: Smarthost | None) -> tuple[str, str]:
    if area in AT_DOMAINS:
        return WORDS[area], reverse("domains:list")
    shared = smarthost is not None and smarthost.server_id is None
    found = job.result.get("diagnosis", {})
    if found.get("port") == getattr(smarthost, "port", None) and (
        there := _of_many(viewer, job, smarthost, found) or put_in(viewer, job.server_id, smarthost, found)
    ):
        return found["instead"]["label"], there
    if area not in AT_SERVER and shared and may(viewer, Permission.SETTINGS):
        return WORDS[area], reverse("smarthosts:edit", args=[smarthost.pk])
    words = AT_SERVER["server"] if area in AT_PROVIDER else WORDS[area]
    return words, reverse("servers:services", args=[job.server_id])


def _of_many(viewer: User, job: Job, smarthost: Smarthost | None, found: dict) -> str:
    """Where the port is applied to all the servers it helps, and to no other; "" for a server that was asked alone."""
    may_move = smarthost is not None and may(viewer, Permission.RUN) and knows_details(smarthost, viewer)
    many = job.rank > 0 and "instead" in found and may_move
    return f"{reverse('jobs:batch', args=[job.batch_id])}#together" if many else ""


def put_in(viewer: User, server_id, smarthost: Smarthost | None, found: dict) -> str:
    """The form with the port a diagnosis proposes filled in; "" where there is none that this person may change."""
    instead = found.get("instead")
    if smarthost is None or not instead or not may(viewer, Permission.RUN):
        return ""
    query = {"port": instead["port"], "tls": instead["tls"]}
    if smarthost.server_id is None:
        there = reverse("smarthosts:edit", args=[smarthost.pk]) if may(viewer, Permission.SETTINGS) else ""
        return there and f"{there}?{urlencode(query)}"
    if not knows_details(smarthost, viewer):
        return ""
    query = {"provider": f"own:{smarthost.preset}"} | query
    return f"{reverse('servers:services', args=[server_id])}?{urlencode(query)}#gateway"

"""Where in the panel the cause of a failed gateway job is mended."""

from collections.abc import Iterable

from django.urls import reverse

from controlpanel.access.gate import Permission, may
from controlpanel.access.models import User
from gateway.models import Gateway
from servers.jobs.models import Job

# Areas of an explanation that are values of an SMTP provider, and the words of the link to them.
VALUES = {"credentials": "Fix credentials", "sender": "Fix sender", "port": "Fix server and port"}


def mends(viewer: User, jobs: Iterable[Job]) -> dict[int, tuple[str, str]]:
    """{job id: (words, address)}: the provider's own page for whoever may change it, else the form of the server."""
    areas = {job: job.result.get("explanation", {}).get("area") for job in jobs}
    asked = {job: area for job, area in areas.items() if area in VALUES}
    gateways = Gateway.objects.filter(server__in={job.server_id for job in asked}).select_related("wanted")
    wanted = {gateway.server_id: gateway.wanted for gateway in gateways}
    return {job.pk: (VALUES[area], _place(viewer, job, wanted.get(job.server_id))) for job, area in asked.items()}


def _place(viewer: User, job: Job, smarthost) -> str:
    if smarthost is not None and smarthost.server_id is None and may(viewer, Permission.SETTINGS):
        return reverse("smarthosts:edit", args=[smarthost.pk])
    return reverse("servers:services", args=[job.server_id])

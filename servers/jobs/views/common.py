"""What the pages of jobs and batches share."""

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from controlpanel.access.models import User
from controlpanel.web import page
from servers.jobs import launch, pauses, story


def tabs(active: str) -> list[dict]:
    return [
        {"label": label, "url": reverse(name), "active": name == active, "count": None, "icon": None}
        for name, label in (("jobs:list", "Jobs"), ("jobs:batches", "Batches"))
    ]


def pause_context(viewer: User) -> dict:
    """What jobs/_pause.html needs."""
    current = pauses.current()
    return {"pause": current, "pauser": story.person(current.by, viewer) if current else ""}


def asked_again(request: HttpRequest, again: QuerySet, back: tuple) -> HttpResponse:
    """Retries jobs the person may ask for, and goes where they are followed."""
    try:
        made = launch.retry(again, by=request.user) if again.exists() else None
    except launch.Busy as busy:
        messages.info(request, str(busy))
        return page.go(request, "jobs:job", busy.job.pk)
    except (launch.StillLive, launch.Archived) as refused:
        messages.error(request, f"{refused.__doc__} {refused.hint}")
        return page.go(request, *back)
    if made is None:
        return page.go(request, *back)
    jobs = list(made.jobs.values_list("pk", flat=True)[:2])
    return page.go(request, "jobs:job", jobs[0]) if len(jobs) == 1 else page.go(request, "jobs:batch", made.pk)

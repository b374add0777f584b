"""The test email of the Services tab: what is filled in, and how its way is shown."""

from dataclasses import dataclass

from django.urls import reverse

from controlpanel.access.models import User
from gateway import wanted
from gateway.choice import knows_details
from gateway.mending import mends
from gateway.models import Gateway, Smarthost
from gateway.server_forms import TestForm
from servers.jobs.discretion import told
from servers.jobs.models import Job, Status
from servers.models import Server


@dataclass(frozen=True)
class Stage:
    """One stop on the way. state: a word of the panel's table; note: what is known about it."""

    label: str
    state: str
    note: str = ""


def usual_sender(smarthost: Smarthost) -> str:
    """The address the provider is most likely to accept from this account; "" when nothing tells."""
    address = wanted.relay(smarthost, 0).probe_address
    return address if "@" in address else ""


def form(gateway: Gateway, user: User) -> TestForm:
    """From is filled in where this person may know the provider's details; else the job takes the usual sender."""
    applied = gateway.applied
    known = applied is not None and knows_details(applied, user)
    return TestForm(
        initial={
            "sender": usual_sender(applied) if known else "",
            "recipient": user.email,
            "subject": subject(gateway.server),
            "body": body(gateway.server),
        }
    )


def subject(server: Server) -> str:
    return f"Test from {server.name}"


def body(server: Server) -> str:
    return f"This email was sent by {server.name} to test its email gateway.\n"


def last(server: Server) -> Job | None:
    tests = Job.objects.filter(server=server, action="gateway.test").exclude(status=Status.CANCELLED)
    return tests.order_by("-id").first()


def shown(job: Job, user: User) -> dict:
    """Context of test_result.html: the way as far as it got, the reply as this person may read it, and `fix`: words and
    address of the place where a failure is mended, or None."""
    fix = mends(user, [job]).get(job.pk) if job.finished else None
    if fix and fix[1] == reverse("servers:services", args=[job.server_id]):  # that is the page this is shown on
        fix = None
    (job,) = told([job], user)
    return {"tested": job, "fix": fix, "stages": _stages(job), "reply": job.result.get("reply", "")}


def _stages(job: Job) -> list[Stage]:
    """queued → handed over → accepted, as far as it got."""
    result = job.result
    delivery, relay = result.get("delivery", ""), result.get("relay", "")
    if not result.get("queue_id"):
        return [Stage("Queued on the server", "running" if job.live else "fail")]
    reached = bool(relay) and relay != "none"
    return [
        Stage("Queued on the server", "ok", f"queue ID {result['queue_id']}"),
        Stage("Handed over", "ok" if reached else "fail", f"to {relay}" if reached else ""),
        Stage(_ENDS.get(delivery, "Accepted by the provider"), delivery or "running", _ids(result)),
    ]


_ENDS = {"deferred": "Not accepted yet", "bounced": "Refused", "queued": "Still in the queue"}


def _ids(result: dict) -> str:
    given = result.get("provider_id", "")
    parts = [f"the provider's ID {given}" if given else "", _span(result.get("seconds"))]
    return " · ".join(part for part in parts if part)


def _span(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"in {seconds:.1f} s" if seconds >= 0.05 else "in under 0.1 s"

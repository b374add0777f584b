"""What the front page tells of a fleet, counted in the database: no number reads the servers it counts."""

from django.conf import settings
from django.db.models import Case, Count, Max, QuerySet, Sum, Value, When
from django.urls import reverse
from django.utils import timezone

from controlpanel.access.gate import Permission, may
from controlpanel.access.models import User
from gateway import gateways
from gateway.drift import spell
from gateway.models import Gateway
from servers.jobs import launch, story, verdicts
from servers.jobs.discretion import Discretion
from servers.jobs.models import Batch, Job
from servers.models import Server
from servers.standing import shown, standing

STATES = ("working", "failing", "drifted", "absent", "unknown", "checking")
NEEDS, MAIL, UNSEEN = "needs-you", "mail-waits", "unseen"
SHOWN = 8  # lines of a card; the rest is behind a link
WAITING_SHOWN = 5
_URGENCY = (Server.Reach.KEY_CHANGED, Server.Reach.KEY_OFFERED, Server.Reach.FAILED)


def mine(user: User) -> QuerySet:
    return Server.objects.visible_to(user).live()


def counts(user: User) -> dict:
    """{"servers", "queued" (emails), "seen_at" (of the server that answered last), each of STATES, NEEDS, MAIL and
    UNSEEN: servers}, in one statement."""
    words = {word: Count("pk", filter=standing(word)) for word in (*STATES, NEEDS, MAIL, UNSEEN)}
    sums = {"queued": Sum("gateway__queued"), "seen_at": Max("gateway__seen_at")}
    found = mine(user).aggregate(servers=Count("pk"), **sums, **words)
    return found | {"queued": found["queued"] or 0}


def numbers(found: dict[str, int]) -> list[dict]:
    """[{"slug", "value", "url"}]: each leads to the list of exactly the servers it counts."""
    return [{"slug": word, "value": found[word], "url": list_of(word)} for word in STATES]


def seen(found: dict) -> dict:
    """{"at", "missing" (servers), "url", "limit" ("1 hour")}: when looks last got an answer, and where they did not for
    too long. Without regular looks nobody is missing."""
    missing = found[UNSEEN] if settings.HEALTH_MINUTES else 0
    limit = spell(gateways.unseen_after().total_seconds())
    return {"at": found["seen_at"], "missing": missing, "url": list_of(UNSEEN), "limit": limit}


def list_of(word: str) -> str:
    return f"{reverse('servers:list')}?state={word}"


def bar(found: dict[str, int]) -> list[dict]:
    """[{"slug", "x", "width"}]: the states side by side, in percent of the bar."""
    total, x, segments = sum(found[word] for word in STATES), 0.0, []
    for word in STATES:
        if found[word]:
            width = found[word] * 100 / total
            segments.append({"slug": word, "x": f"{x:.2f}", "width": f"{width:.2f}"})
            x += width
    return segments


def needing(user: User) -> list[dict]:
    """[{"server", "reason", "url", "fix"}] of the first servers that need somebody: what blocks everything first."""
    turn = Case(*(When(reach=reach, then=n) for n, reach in enumerate(_URGENCY)), default=Value(len(_URGENCY)))
    rows = mine(user).filter(standing(NEEDS)).annotate(turn=turn).order_by("turn", "name")
    servers = list(rows.only("pk", "name", "reach", "findings")[:SHOWN])
    states = [(service, service.states(servers)) for service in shown()]
    seen = Discretion(user, [server.pk for server in servers])
    lines = []
    for server in servers:
        if server.in_trouble:
            line = _unreachable(server, may(user, Permission.EDIT_SERVERS))
        else:
            pairs = [(service, known[server.pk]) for service, known in states if server.pk in known]
            line = _broken(server, next((p for p in pairs if p[1].word == NEEDS), None), may(user, Permission.RUN))
        lines.append(line | {"server": server, "reason": seen.hide(server.pk, line["reason"])})
    return lines


def _broken(server: Server, pair: tuple | None, may_run: bool) -> dict:
    url = reverse("servers:services", args=[server.pk])
    if pair is None:  # mended between two statements
        return {"reason": "It needed somebody a moment ago", "url": url, "fix": "View services"}
    service, state = pair
    reason = f"{service.label}: {state.detail}" if state.detail else f"{service.label} does not work"
    return {"reason": reason, "url": url, "fix": f"Fix {service.label.lower()}" if may_run else "View services"}


def _unreachable(server: Server, may_edit: bool) -> dict:
    url = reverse("servers:server", args=[server.pk])
    if server.reach in (Server.Reach.KEY_CHANGED, Server.Reach.KEY_OFFERED):
        changed = server.reach == Server.Reach.KEY_CHANGED
        reason = "The host key changed, so nothing is sent to it" if changed else "Its host key waits to be compared"
        return {"reason": reason, "url": url, "fix": "Compare host key" if may_edit else "View server"}
    failed = next((stage for stage in server.findings.get("stages", []) if stage.get("state") == "fail"), {})
    reason = failed.get("text") or failed.get("title") or "The last connection check failed"
    return {"reason": reason, "url": url, "fix": "Check connection" if may_edit else "View server"}


def waiting(user: User) -> list[dict]:
    rows = Gateway.objects.filter(server__in=mine(user), queued__gt=0).order_by("-queued", "server__name")
    return list(rows.values("server_id", "server__name", "queued")[:WAITING_SHOWN])


def batches(user: User) -> tuple[list[dict], list[dict]]:
    """What goes on or is to begin on several servers, and what was asked for last, as lines of a list."""
    jobs = Job.objects.visible_to(user)
    # Ids first: asked for the newest batches that have a live job, PostgreSQL walks through every job there ever was.
    alive = sorted(jobs.live().filter(rank__gt=0).order_by().values_list("batch", flat=True).distinct(), reverse=True)
    known = Batch.objects.select_related("asked_by").defer("options").order_by("-pk")
    live = list(known.filter(pk__in=alive[: SHOWN + 1]))
    last = list(known.visible_to(user).exclude(pk__in=alive)[:SHOWN])
    tallies = verdicts.tallies(jobs.filter(batch__in=[batch.pk for batch in (*live, *last)]))
    alone = [pk for pk, tally in tallies.items() if tally.total == 1]
    single = {job.batch_id: job for job in jobs.filter(batch__in=alone).select_related("server").defer("result")}
    lines = {
        batch.pk: _line(batch, tallies[batch.pk], single.get(batch.pk), user)
        for batch in (*live, *last)
        if batch.pk in tallies
    }
    return [lines[b.pk] for b in live if b.pk in lines], [lines[b.pk] for b in last if b.pk in lines]


def _line(batch: Batch, tally: verdicts.Tally, alone: Job | None, user: User) -> dict:
    later = batch.starts_at if batch.starts_at and batch.starts_at > timezone.now() else None
    grade = verdicts.grade(tally)
    return {
        "pk": batch.pk,
        "title": launch.title(batch.action),
        "job": alone,
        "total": tally.total,
        "finished": tally.finished,
        "failed": tally.of(verdicts.FAILED),
        "unreachable": tally.of(verdicts.UNREACHABLE),
        "state": alone.status if alone else grade.slug,
        "sentence": grade.sentence,
        "segments": verdicts.segments(tally),
        "starts_at": later,
        "stopped": batch.stopped_reason,
        "asker": story.person(batch.asked_by, user),
        "at": batch.asked_at,
    }

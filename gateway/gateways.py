"""Verbs on the gateway of one server: what is wanted, and what a look at the server proved."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from controlpanel.access import audit
from controlpanel.access.gate import Permission, may
from controlpanel.access.models import User
from gateway import alarms, rules, smarthosts, values
from gateway.models import Gateway, Smarthost, TestEmail
from servers.catalog import State
from servers.jobs.launch import launch
from servers.jobs.models import Batch, Job
from servers.jobs.rollout import PLAIN, Policy
from servers.models import Server

# the word of `catalog.State` for each stored state
WORDS = {
    Gateway.State.ABSENT: "absent",
    Gateway.State.WORKING: "working",
    Gateway.State.BROKEN: "needs-you",
    Gateway.State.DRIFTED: "needs-you",
    Gateway.State.UNKNOWN: "unknown",
}
# words beside the six that `in_state` knows: the two ways of "needs-you", mail that waits, and too long without a look
FINER = {Gateway.State.BROKEN: "failing", Gateway.State.DRIFTED: "drifted"}
MAIL_WAITS, UNSEEN = "mail-waits", "unseen"


@dataclass(frozen=True)
class Seen:
    """What the last look at a server told about its Postfix."""

    generation: str
    queued: int
    os_name: str
    postfix: str
    log_source: str


class NothingWanted(Exception):
    """No SMTP provider was chosen for this server."""

    hint = "Choose one on the server's Services tab, name one with --smarthost, or set a default provider."


@transaction.atomic
def want(chosen: dict[Server, Smarthost], *, by: User | str | None) -> None:
    """Records what a person asked for; a job makes it so. The same number of statements for one server and for many.
    Raises ValidationError when it could never work."""
    for smarthost in set(chosen.values()):
        rules.ready(values.of(smarthost), has_password=smarthost.has_password)
    rows = [Gateway(server=server, wanted=smarthost) for server, smarthost in chosen.items()]
    Gateway.objects.bulk_create(rows, update_conflicts=True, unique_fields=["server"], update_fields=["wanted"])
    audit.record_each(by, "chose SMTP provider", ((server, _told(row)) for server, row in chosen.items()))
    smarthosts.prune()


def _told(smarthost: Smarthost) -> dict:
    return {"provider": str(smarthost), "host": smarthost.host, "port": smarthost.port}


@transaction.atomic
def ask(
    action: str,
    servers: Iterable[Server],
    smarthost: Smarthost | None = None,
    *,
    by: User | None,
    options: dict | None = None,
    policy: Policy = PLAIN,
) -> Batch:
    """One batch that makes the servers relay through `smarthost`, or through what each already wants, or through the
    default provider where `by` may choose it. Raises NothingWanted, and launch.Busy, with nothing saved."""
    servers = list(servers.only("name", "archived_at") if isinstance(servers, QuerySet) else servers)
    wanted = Gateway.objects.filter(server__in=[server.pk for server in servers], wanted__isnull=False)
    known = dict(wanted.values_list("server", "wanted"))
    rows = Smarthost.objects.in_bulk(set(known.values()))
    default = fallback(by)
    chosen = {server: smarthost or rows.get(known.get(server.pk)) or default for server in servers}
    if without := next((server for server, row in chosen.items() if row is None), None):
        raise NothingWanted(f"{without}: no SMTP provider was chosen.")
    for row in set(chosen.values()):
        rules.ready(values.of(row), has_password=row.has_password)
    anew = {server: row for server, row in chosen.items() if row.pk != known.get(server.pk)}
    if anew:
        want(anew, by=by)
    return launch(action, servers, by=by, options=options, policy=policy)


def fallback(by: User | str | None) -> Smarthost | None:
    """The default provider, for whom may choose a shared one; the command line may."""
    allowed = not isinstance(by, User) or may(by, Permission.USE_SHARED)
    return Smarthost.objects.default() if allowed else None


def begin(server: Server) -> None:
    """A change is about to be handed to the server: until a look follows it, nobody knows what is in force."""
    Gateway.objects.update_or_create(server=server, defaults={"in_doubt": True})


def put_back(server: Server, reason: str = "") -> None:
    """The change failed and every step of it was undone: what was in force before is in force.

    reason: what a person has to mend, where an installation failed; a gateway that works on is not touched by it."""
    Gateway.objects.filter(server=server).update(in_doubt=False)
    if reason:
        first = Gateway.objects.filter(server=server, applied__isnull=True)
        first.update(state=Gateway.State.BROKEN, reason=reason)


def proved(server: Server, smarthost: Smarthost, revision: int, seen: Seen, *, share: int, failing: str = "") -> None:
    """A look found these values in force: those of `smarthost` as it was read, when it was of this revision, else older
    ones of it, with its limits divided among `share` servers. `wanted` may have moved on meanwhile. failing: why they
    do no good all the same."""
    now = timezone.now()
    working = {"applied": smarthost, "applied_revision": revision, "state": Gateway.State.WORKING, "reason": ""}
    working["applied_share"] = share
    if failing:
        working |= {"state": Gateway.State.BROKEN, "reason": failing}
    if revision == smarthost.revision:
        working["applied_password_revision"] = smarthost.password_revision
    before = Gateway.objects.of(server)
    if not before.runs_on(smarthost, revision):
        working["certificate_until"] = None
    installed = before.installed_at or now
    defaults = working | _looked(seen, now) | {"installed_at": installed, "generation": seen.generation}
    Gateway.objects.update_or_create(server=server, defaults=defaults)
    alarms.fine(server)


def removed(server: Server, seen: Seen, *, forget: bool) -> None:
    """A fresh look found no gateway of ours. forget: what was wanted goes too, and with it an own password."""
    absent = {"applied": None, "state": Gateway.State.ABSENT, "reason": "", "generation": "", "installed_at": None}
    absent |= {"applied_share": 0, "kept": {}, "signed_in_at": None, "certificate_until": None}
    defaults = absent | _looked(seen, timezone.now()) | {"last_test": {}}
    Gateway.objects.update_or_create(server=server, defaults=defaults)
    alarms.gone(server)
    if forget:
        Gateway.objects.filter(server=server).update(wanted=None)
        Smarthost.objects.unused().filter(server=server).delete()


def broken(server: Server, reason: str) -> None:
    """A look found a gateway that is not as it should be; what was proved last stays recorded."""
    Gateway.objects.filter(server=server).update(state=Gateway.State.BROKEN, reason=reason, in_doubt=False)
    alarms.failing(server, reason)


def drifted(server: Server, reason: str) -> None:
    """A look found settings of ours that somebody else changed; what was proved last stays recorded."""
    Gateway.objects.filter(server=server).update(state=Gateway.State.DRIFTED, reason=reason, in_doubt=False)
    alarms.drifted(server, reason)


@transaction.atomic
def tested(server: Server, smarthost: Smarthost | None, result: dict, *, cause: str = "", job: Job) -> None:
    """How a test email ended: on the gateway's line, and once per job in the history the charts read."""
    now = timezone.now()
    note = {"delivery": result["delivery"], "reply": result.get("reply", ""), "seconds": result.get("seconds")}
    row = note | {"server": server, "smarthost": smarthost, "at": now, "cause": cause[:60]}
    if not TestEmail.objects.get_or_create(job=job, defaults=row)[1]:
        return
    note |= {"at": now.isoformat(), "job": job.pk}
    # A message that is not through waits in the queue since the last look at it.
    waits = int(note["delivery"] in ("deferred", "queued"))
    Gateway.objects.filter(server=server).update(last_test=note, queued=F("queued") + waits)


def looked(
    server: Server,
    findings: list[dict],
    *,
    diffs: dict[str, str | dict],
    queued: int,
    oldest_at: datetime | None,
    certificate_until: datetime | None,
    when: datetime | None = None,
) -> None:
    """What a look saw beside the state; the shapes are those of the columns."""
    fresh = {"problems": findings, "diffs": diffs, "queued": queued, "oldest_at": oldest_at}
    fresh["certificate_until"] = certificate_until
    Gateway.objects.filter(server=server).update(**fresh, seen_at=when or timezone.now())


def missed(server: Server, findings: list[dict]) -> None:
    """A look got no answer; what was seen last stays."""
    Gateway.objects.filter(server=server).update(problems=findings)


def unknown(server: Server, reason: str) -> None:
    """So many looks got no answer that what was seen last may no longer be so."""
    Gateway.objects.filter(server=server, applied__isnull=False).update(state=Gateway.State.UNKNOWN, reason=reason)


def _looked(seen: Seen, now: datetime) -> dict:
    observed = {"os": seen.os_name, "postfix": seen.postfix, "log_source": seen.log_source}
    fresh = {"verified_at": now, "seen_at": now, "problems": [], "diffs": {}, "oldest_at": None}
    return fresh | {"queued": seen.queued, "observed": observed, "in_doubt": False}


def states(servers: Iterable[Server]) -> dict:
    """{server id: State} in one query; a server without a row has no gateway."""
    found = {server.pk: State("absent") for server in servers}
    rows = Gateway.objects.filter(server__in=list(found)).select_related("applied", "wanted").with_live_job()
    for gateway in rows:
        seen_at = gateway.seen_at if gateway.installed else None
        found[gateway.server_id] = replace(state_of(gateway), seen_at=seen_at)
    return found


def unseen_after() -> timedelta:
    """Without an answer for so long, a server counts as not seen lately: two regular looks, an hour at least."""
    return max(timedelta(hours=1), 2 * timedelta(minutes=settings.HEALTH_MINUTES))


def in_state(word: str) -> Q:
    """Servers that `states` gives this word, as a condition in SQL; FINER, MAIL_WAITS and UNSEEN as well."""
    # One set for the whole statement: a condition that asks for each server's own jobs is asked anew for every count.
    live = Q(pk__in=Gateway.at_work().order_by().values("server"))
    if word == MAIL_WAITS:
        return Q(gateway__queued__gt=0)
    if word == UNSEEN:
        late = Q(gateway__seen_at__lt=timezone.now() - unseen_after()) | Q(gateway__seen_at__isnull=True)
        return late & Q(gateway__applied__isnull=False)
    if word == "checking":
        return live & Q(gateway__isnull=False)
    if word == "unknown":
        return Q(gateway__in_doubt=True) & ~live | Q(gateway__state=Gateway.State.UNKNOWN) & ~live
    stored = [state for state in Gateway.State if word in (WORDS[state], FINER.get(state))]
    there = Q(gateway__state__in=stored, gateway__in_doubt=False) & ~live
    return there | Q(gateway__isnull=True) if word == "absent" else there


def state_of(gateway: Gateway) -> State:
    """`gateway` from `with_live_job()`. The reason may name a provider: doors show it with Discretion."""
    if getattr(gateway, "live", False):
        return State("checking", "a job is running")
    if gateway.in_doubt:
        return State("unknown", "nobody has seen how the last change ended; check the gateway")
    word = WORDS[gateway.state]
    if gateway.state == Gateway.State.WORKING:
        return State(word, "new values not applied yet" if gateway.pending else "")
    if gateway.state == Gateway.State.ABSENT:
        return State(word, "values saved, not applied yet" if gateway.pending else "")
    return State(word, gateway.reason)

"""The regular look at every installed gateway: one connection, one observation, now and then one gentle try of the
account, nothing changed.

Not a job: it moves a cursor on the gateway's row. `look_due_at` says when the next look begins; whoever begins it moves
it on to the end of a lease, by compare-and-swap, so any number of workers share the fleet.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import connections, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from gateway import acceptance, alarms, checking, drift, gateways, looking, trying
from gateway.models import Gateway
from gateway.postfix.facts import Facts
from servers import reachability
from servers.jobs import pauses, presence
from servers.jobs.lines import Masker
from servers.jobs.models import Job
from servers.jobs.run import Resting, dial, rest
from servers.models import Blocked, HostKey, Server
from servers.remote import clean
from servers.remote.host import RemoteError

log = logging.getLogger(__name__)
THREADS = 32  # one process reads the answers of so many servers; a dead one holds one of them for ten seconds
LEASE = timedelta(minutes=5)  # longer than any look takes
SOON = timedelta(minutes=5)  # after a look without an answer: two in a row are to be known quickly
TICK = 60.0  # seconds between the timetable's rings
_sweeping = threading.Lock()


@dataclass(frozen=True)
class Look:
    """How one look ended. skipped: why there was none, "" when there was."""

    server: Server
    skipped: str = ""
    answered: bool = False


def interval() -> timedelta | None:
    """Between two looks at the same server; None: no regular looks."""
    return timedelta(minutes=settings.HEALTH_MINUTES) if settings.HEALTH_MINUTES > 0 else None


def sweep() -> int:
    """Looks at those whose time has come, and returns how many. At most twice what is due in an ordinary minute, so
    that a panel that was away does not meet its whole fleet at once. One sweep per process at a time."""
    if interval() is None or pauses.current() or not _sweeping.acquire(blocking=False):
        return 0
    try:
        _spread(timezone.now())
        ready = waiting().filter(look_due_at__lte=timezone.now()).order_by("look_due_at")
        rows = list(ready[: _share()])
        return sum(not look.skipped for look in look_at(rows, wanted=lambda: not presence.ending()))
    finally:
        _sweeping.release()


def look_at(rows: Iterable[Gateway], *, wanted: Callable[[], bool] = lambda: True) -> Iterator[Look]:
    """Looks at each of them as they stand, due or not, THREADS at once; a look comes out as soon as it ended, in the
    order of `rows`. `wanted` is asked before each."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="health") as pool:
        yield from pool.map(lambda row: _in_thread(row, wanted), rows)


def waiting() -> QuerySet:
    """Gateways a regular look may meet: installed, on servers with an accepted host key that nobody is changing."""
    changed = Job.objects.live().filter(server=OuterRef("server"), mutating=True)
    pinned = HostKey.objects.filter(server=OuterRef("server"), state=HostKey.State.PINNED)
    open_ = Gateway.objects.filter(Exists(pinned), ~Exists(changed), applied__isnull=False)
    live = open_.filter(server__archived_at__isnull=True).exclude(server__reach=Server.Reach.KEY_CHANGED)
    return live.select_related("server", "server__ssh_key", "server__jump", "applied", "wanted")


def look(gateway: Gateway) -> Look:
    """One look, if nobody else is at it: observes, judges, records. Never raises for what a server does."""
    server = gateway.server
    if pauses.current():
        return Look(server, skipped="the panel is paused")
    lease = _claim(gateway)
    if lease is None:
        return Look(server, skipped="another look is at work there")
    began, following, mask = timezone.now(), interval() or LEASE, Masker()
    try:
        gateway = waiting().filter(pk=gateway.pk).first()  # as it is now: jobs may have ended since the row was read
        if gateway is None:
            return Look(server, skipped="a job or a host key is in the way, or no gateway is installed")
        server = gateway.server
        with closing(_dialled(server, mask)) as host:
            facts, ended = looking.observe(host), timezone.now()
            judged = checking.judge(gateway, facts, mask=mask.add)
            known = judged.relay if judged.row == gateway.applied else None
            tried = trying.attempt(gateway, known, host) if known else None
        told = {"masked": lambda text: mask(clean.text(text)), "when": ended, "tried": tried}
        _note(gateway, lease, began, partial(_answered, server, judged, facts, told))
        return Look(server, answered=True)
    except Blocked as error:  # a jump server's key waits for a person
        return Look(server, skipped=str(error))
    except looking.Unclear as error:
        _note(gateway, lease, began, partial(_unclear, server, error, mask))
        return Look(server)
    except RemoteError as error:
        following = min(following, SOON)
        _note(gateway, lease, began, partial(_missed, server, error, mask))
        return Look(server)
    finally:
        Gateway.objects.filter(server=server, look_due_at=lease).update(look_due_at=timezone.now() + following)


def _in_thread(gateway: Gateway, wanted: Callable[[], bool]) -> Look:
    try:
        return look(gateway) if wanted() else Look(gateway.server, skipped="the worker is ending")
    except Exception:  # one row that breaks the panel must not end the sweep
        log.exception("The regular look at %s broke.", gateway.server)
        return Look(gateway.server, skipped="the panel broke")
    finally:
        connections.close_all()


def _dialled(server: Server, mask: Masker) -> Resting:
    login = server.login()
    for secret in login.secrets():
        mask.add(secret)
    rest()
    return Resting(dial(login))


def _claim(gateway: Gateway) -> datetime | None:
    until = timezone.now() + LEASE
    row = Gateway.objects.filter(pk=gateway.pk, look_due_at=gateway.look_due_at)
    return until if row.update(look_due_at=until) else None


def _note(gateway: Gateway, lease: datetime, began: datetime, write: Callable[[], None]) -> None:
    """Writes, unless since the look began the lease ran out, a job has changed the server, or a person the values it
    is compared with: then this is old news."""
    with transaction.atomic():
        same = {"applied": gateway.applied, "applied__revision": gateway.applied.revision}
        mine = Gateway.objects.select_for_update(of=("self",)).filter(pk=gateway.pk, look_due_at=lease)
        holds = mine.filter(**same).exists()
        jobs = Job.objects.filter(server=gateway.server_id, mutating=True)
        if holds and not jobs.live().exists() and not jobs.filter(finished_at__gte=began).exists():
            write()


def _answered(server: Server, judged: checking.Judged, facts: Facts, told: dict) -> None:
    reachability.answered(server)
    alarms.reached(server)
    checking.record(server, judged, facts, **told)


def _missed(server: Server, error: RemoteError, mask: Masker) -> None:
    told = mask(clean.line(str(error)))[:500]
    misses = reachability.missed(server, error, told)
    enough = misses >= reachability.ENOUGH
    missed = drift.finding("reach", "fail" if enough else "unknown", told, mask(error.hint))
    gateways.missed(server, [missed, *_lasting(server)])
    if enough:
        gateways.unknown(server, f"the server does not answer: {told}")
        alarms.unreachable(server, error.cause, told, mask(error.hint))


def _unclear(server: Server, error: RemoteError, mask: Masker) -> None:
    told = mask(clean.line(str(error)))[:500]
    gateways.missed(server, [drift.finding("answer", "unknown", told, error.hint), *_lasting(server)])


def _lasting(server: Server) -> list[dict]:
    return acceptance.lasting(Gateway.objects.values_list("problems", flat=True).get(server=server))


def _spread(now: datetime) -> None:
    """First looks, over one interval, by the id of the server: what was installed at once is not met at once."""
    every = interval().total_seconds()
    new = list(Gateway.objects.filter(applied__isnull=False, look_due_at__isnull=True)[:5000])
    for gateway in new:
        gateway.look_due_at = now + timedelta(seconds=gateway.server_id.int % int(every))
    Gateway.objects.bulk_update(new, ["look_due_at"], batch_size=500)


def _share() -> int:
    """How many one sweep meets at most."""
    fleet = Gateway.objects.filter(applied__isnull=False).count()
    return THREADS + int(2 * fleet * TICK / interval().total_seconds())

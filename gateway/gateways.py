"""Verbs on the gateway of one server: what is wanted, and what a look at the server proved."""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from controlpanel.access import audit
from controlpanel.access.models import User
from gateway import rules, smarthosts, values
from gateway.models import Gateway, Smarthost
from servers.catalog import State
from servers.jobs.launch import launch
from servers.jobs.models import Batch
from servers.models import Server


class NothingWanted(Exception):
    """No SMTP provider was chosen for this server."""

    hint = "Choose one on the server's Services tab, name one with --smarthost, or set a default provider."


@transaction.atomic
def want(server: Server, smarthost: Smarthost, *, by: User | None) -> Gateway:
    """Records what a person asked for; a job makes it so. Raises ValidationError when it could never work."""
    rules.ready(values.of(smarthost), has_password=smarthost.has_password)
    gateway, _ = Gateway.objects.update_or_create(server=server, defaults={"wanted": smarthost})
    audit.record(by, "chose SMTP provider", server, provider=str(smarthost), host=smarthost.host, port=smarthost.port)
    smarthosts.prune()
    return gateway


@transaction.atomic
def install(
    servers: Iterable[Server],
    smarthost: Smarthost | None = None,
    *,
    by: User | None,
    action: str = "install",
    **options,
) -> Batch:
    """One batch that makes the servers relay through `smarthost`, or through what each already wants, or through the
    default provider. Raises NothingWanted, and launch.Busy, with nothing saved."""
    servers = list(servers)
    default = Smarthost.objects.default()
    for server in servers:
        chosen = smarthost or Gateway.objects.of(server).wanted or default
        if chosen is None:
            raise NothingWanted(server.name)
        want(server, chosen, by=by)
    return launch(action, servers, by=by, options=options or {})


def proved(server: Server, smarthost: Smarthost, revision: int, *, generation: str, queued: int, seen: dict) -> None:
    """A fresh look found nothing left to do: these values are in force. `wanted` may have moved on meanwhile."""
    now = timezone.now()
    earlier = Gateway.objects.of(server).installed_at
    Gateway.objects.update_or_create(
        server=server,
        defaults={
            "applied": smarthost,
            "applied_revision": revision,
            "state": Gateway.State.WORKING,
            "reason": "",
            "generation": generation,
            "queued": queued,
            "installed_at": earlier or now,
            "verified_at": now,
            "observed": seen,
        },
    )


def removed(server: Server, *, forget: bool, queued: int, seen: dict) -> None:
    """A fresh look found no gateway of ours. forget: what was wanted goes too, and with it an own password."""
    Gateway.objects.update_or_create(
        server=server,
        defaults={
            "applied": None,
            "state": Gateway.State.ABSENT,
            "reason": "",
            "generation": "",
            "queued": queued,
            "installed_at": None,
            "verified_at": timezone.now(),
            "last_test": {},
            "observed": seen,
        },
    )
    if forget:
        Gateway.objects.filter(server=server).update(wanted=None)
        Smarthost.objects.unused().filter(server=server).delete()


def doubted(server: Server, state: str, reason: str) -> None:
    """Something is wrong with a gateway that was installed; what is in force stays recorded as it was."""
    Gateway.objects.filter(server=server, applied__isnull=False).update(state=state, reason=reason)


def states(servers: Iterable[Server]) -> dict:
    """{server id: State} in one query; a server without a row has no gateway."""
    found = {server.pk: State("absent") for server in servers}
    rows = Gateway.objects.filter(server__in=list(found)).select_related("applied", "wanted").with_live_job()
    for gateway in rows:
        found[gateway.server_id] = state_of(gateway)
    return found


def state_of(gateway: Gateway) -> State:
    """`gateway` from `with_live_job()`. Names no shared provider: every role reads this."""
    if getattr(gateway, "live", False):
        return State("checking", "a job is running")
    word = {"broken": "needs-you"}.get(gateway.state, gateway.state)
    if gateway.state == Gateway.State.WORKING:
        return State(word, "new values not applied yet" if gateway.pending else "")
    if gateway.state == Gateway.State.ABSENT:
        return State(word, "values saved, not applied yet" if gateway.pending else "")
    return State(word, gateway.reason)

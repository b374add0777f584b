"""Verbs on what a person keeps of a server's own main.cf. Rows only: a check proves it, the next change records it."""

import json
from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from controlpanel.access import audit
from controlpanel.access.models import User
from gateway import adopting, drift
from gateway.models import Gateway
from servers.jobs.launch import Busy, launch
from servers.jobs.models import Batch, Job
from servers.models import Server


def changes(gateway: Gateway) -> adopting.Changes:
    """What of main.cf differed at the last look."""
    return gateway.diffs.get(drift.CHANGES, {})


def digest(changes: adopting.Changes) -> str:
    """Names what a person was shown: another for any other name or value. Keyed, for it goes to people who may not read
    all of the values and could else try names of providers until one fits."""
    told = json.dumps(changes, sort_keys=True)
    return salted_hmac("gateway.keeping", told, algorithm="sha256").hexdigest()[:32]


@transaction.atomic
def adopt(server: Server, names: Iterable[str], *, shown: str, by: User | str | None) -> Batch:
    """From now on these parameters are meant to have the values the last look found. shown: `digest` of what the person
    saw. Raises adopting.Unknown when something else differs by now, adopting.Refused, launch.Busy, Archived."""
    gateway = _at_rest(server)
    found = changes(gateway)
    if shown != digest(found):
        raise adopting.Unknown(adopting.Unknown.__doc__)
    values = adopting.chosen(found, names)
    return _keep(gateway, gateway.kept | values, "kept values of the server", values, by)


@transaction.atomic
def stop(server: Server, names: Iterable[str], *, by: User | str | None) -> Batch:
    """These parameters are meant to have our values again; reinstalling writes them. Raises adopting.Unknown when none
    of them was kept, launch.Busy, Archived."""
    gateway, names = _at_rest(server), set(names)
    ended = {name: value for name, value in gateway.kept.items() if name in names}
    if not ended:
        raise adopting.Unknown("These values are not kept.")
    left = {name: value for name, value in gateway.kept.items() if name not in names}
    return _keep(gateway, left, "stopped keeping values of the server", ended, by)


def _at_rest(server: Server) -> Gateway:
    """The row, held until the end of the transaction, while no job changes the server."""
    gateway = Gateway.objects.select_for_update().filter(server=server, applied__isnull=False).first()
    if gateway is None:
        raise adopting.Unknown("No email gateway is installed there.")
    if job := Job.objects.live().filter(server=server, mutating=True).first():
        raise Busy(job)
    return gateway


def _keep(gateway: Gateway, kept: dict, verb: str, values: dict, by: User | str | None) -> Batch:
    # A look under way compares with what was kept before: moving its lease away makes nobody believe it.
    Gateway.objects.filter(pk=gateway.pk).update(kept=kept, look_due_at=timezone.now())
    server = gateway.server
    audit.record(by, verb, server, values=values)
    return launch("gateway.check", [server], by=by if isinstance(by, User) else None)

"""Regular looks at 500 fake servers, a tenth of which let packets fall on the floor: one process, as a worker's."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.looks import row

SERVERS, TARGET = 500, 60


def rows(quick: bool) -> list[dict]:
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "controlpanel.settings"
    django.setup()
    from django.core.management import call_command

    from gateway import health
    from gateway.models import Gateway
    from tests.fakefleet import Fleet
    from tests.fakefleet.rows import enrol

    call_command("migrate", interactive=False, verbosity=0)
    count = 50 if quick else SERVERS
    with Fleet(ok=count * 9 // 10, drop=count // 10) as fleet:
        servers = enrol(fleet)
        _install(servers)
        bare = _bare(servers, health.THREADS)
        theirs, cpu, began = fleet.seconds(), time.process_time(), time.monotonic()
        looks = list(health.look_at(health.waiting()))
        wall, cpu, theirs = time.monotonic() - began, time.process_time() - cpu, fleet.seconds() - theirs
    answered = sum(look.answered for look in looks)
    if answered != count * 9 // 10 or Gateway.objects.exclude(state=Gateway.State.DRIFTED).count() != count // 10:
        raise SystemExit(f"only {answered} of {count} servers were looked at")
    note = f"{health.THREADS} at once; {cpu:.1f} CPU-s of the panel, {theirs:.1f} of the fake fleet; "
    note += f"the same sign-ins and scripts with nothing judged or kept take {bare:.1f} s"
    name = f"regular look at {count} servers, a tenth of them dead"
    return [
        row(name, f"≤ {TARGET}", wall, "s", wall <= TARGET, note),
        row(f"{name} / bare loop", "", wall / bare, "×", None),
    ]


def _install(servers: list) -> None:
    """As after an install that this panel proved."""
    from django.utils import timezone

    from gateway.models import Gateway, Smarthost
    from servers.models import Server
    from servers.remote.secret import Secret

    now = timezone.now()
    account = Smarthost.objects.create(
        name="bench", host="smtp.provider.test", username="bench@example.org", password=Secret("a password")
    )
    common = {"wanted": account, "applied": account, "applied_revision": 1, "state": Gateway.State.WORKING}
    Gateway.objects.filter(server__in=servers).delete()
    Gateway.objects.bulk_create(
        Gateway(server=server, installed_at=now, verified_at=now, **common) for server in servers
    )
    Server.objects.update(reach=Server.Reach.OK)


def _bare(servers: list, threads: int) -> float:
    from gateway import looking
    from servers.jobs.run import dial
    from servers.remote.host import RemoteError

    def visit(login) -> None:
        try:
            host = dial(login)
        except RemoteError:
            return
        try:
            looking.observe(host)
        finally:
            host.close()

    logins = [server.login() for server in servers]
    began = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(visit, logins))
    return time.monotonic() - began

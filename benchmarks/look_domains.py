"""1,000 sending domains checked by one real worker: nsd has their zones, unbound is this machine's resolver.

Both, the broker and the worker live in a network namespace of their own, so that the panel's code finds the resolver
where it always does, and name servers at an address it asks directly. Nothing leaves it.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.looks import row

DOMAINS, TARGET = 1000, 60
SOURCE = "192.175.48.53"  # public, of the sink for stray questions (RFC 7534); within the namespace it is ours
NAMESPACE = "fp-looks"
# What domains look like, by name in tests/golden/dns/zones.yml.
LIKE = (
    "right.test",
    "google.right.test",
    "empty.test",
    "moot.test",
    "two-spf.test",
    "eleven.test",
    "reports-taken.test",
)
PROVIDERS = (".", "test", "com", "net", "google.com", "sendgrid.net", "reports.test", "picky-reports.test")
AT_ONCE = 64  # questions of the bare loop


def rows(quick: bool) -> list[dict]:
    from tests.fleet.host import obstacles
    from tests.fleet.nameserver import missing

    if os.environ.get("FLEETPOST_LOOKS_NAMESPACE"):
        return _measured(70 if quick else DOMAINS)
    if reasons := [*obstacles(), *(f"{package} is not installed" for package in missing())]:
        raise SystemExit("; ".join(reasons))
    with _namespace() as name:
        argv = ["ip", "netns", "exec", name, sys.executable, "-m", "benchmarks.looks", "--inside", "domains"]
        environment = os.environ | {"FLEETPOST_LOOKS_NAMESPACE": name}
        done = subprocess.run(
            [*argv, *(["--quick"] if quick else [])], env=environment, stdout=subprocess.PIPE, check=True
        )
    return json.loads(done.stdout)


@contextmanager
def _namespace():
    """A network namespace with nothing but loopback, whose resolver is at 127.0.0.1."""
    from tests.fleet.host import sh, succeeds

    name = f"{NAMESPACE}-{os.getpid()}"
    folder = Path("/etc/netns", name)
    folder.mkdir(parents=True)
    try:
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        sh("ip", "netns", "add", name)
        sh("ip", "-n", name, "-batch", "-", input=f"link set lo up\naddr add {SOURCE}/32 dev lo\n")
        yield name
    finally:
        succeeds("ip", "netns", "del", name)
        (folder / "resolv.conf").unlink(missing_ok=True)
        folder.rmdir()


def _measured(count: int) -> list[dict]:
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "controlpanel.settings"
    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    from benchmarks.engine import Panel
    from tests.fleet.nameserver import Nameserver, Resolver

    call_command("migrate", interactive=False, verbosity=0)
    zones, presets = _zones(count)
    source = Nameserver(zones, address=SOURCE, port=53)
    resolver = Resolver(53, {".": SOURCE}, address="127.0.0.1")
    with source, resolver, Panel(settings.DATA_DIR) as panel:
        wall, cpu = _checked(presets, panel)
        asked = _questions(presets)
        resolver.forget()
        bare = asyncio.run(_bare(asked))
    name = f"{count} domains checked, local resolver, one worker"
    note = (
        f"worker {1000 * cpu / count:.0f} CPU-ms a domain; a bare asyncio loop asks the same {len(asked)} questions, "
    )
    note += f"{AT_ONCE} at once, in {bare:.1f} s"
    return [
        row(name, f"≤ {TARGET}", wall, "s", wall <= TARGET, note),
        row(f"{name} / bare loop", "", wall / bare, "×", None),
    ]


def _zones(count: int) -> tuple[dict[str, str], dict[str, str]]:
    """Zone files by origin, and the preset of each domain."""
    from tests.fleet import nameserver
    from tests.gateway.deliverability import realzones

    known = {case.zone: case for case in realzones.load()}
    zones, presets = {name: known[name].text() for name in PROVIDERS}, {}
    for number in range(count):
        like = known[LIKE[number % len(LIKE)]]
        name = f"d{number}.test"
        records = like.records.replace(like.zone, name)
        zones[name] = replace(like, zone=name, records=records).text()
        presets[name] = next(iter(like.presets), "generic")
    return {name: text.replace(nameserver.SOURCE, SOURCE) for name, text in zones.items()}, presets


def _checked(presets: dict[str, str], panel) -> tuple[float, float]:
    """Seconds from asking to the last kept report, and CPU seconds of the worker."""
    from django.db import transaction

    from benchmarks.engine import until
    from gateway.deliverability import domains, tasks
    from gateway.deliverability.models import Domain
    from gateway.models import Smarthost
    from servers.remote.secret import Secret

    Smarthost.objects.bulk_create(
        Smarthost(name=name, preset=preset, host="smtp.provider.test", password=Secret("p"), sending_domain=name)
        for name, preset in presets.items()
    )
    domains.collect()
    cpu, began = panel.worker.seconds(), time.monotonic()
    with transaction.atomic():
        domains.ask_many(list(Domain.objects.all()), tasks.work.delay)
    until(lambda: not Domain.objects.waiting().exists(), pause=0.1)
    wall, cpu = time.monotonic() - began, panel.worker.seconds() - cpu
    states = {state: Domain.objects.filter(state=state).count() for state in ("ok", "warn", "fail", "unknown")}
    if states["unknown"] or not (states["ok"] and states["fail"]):
        raise SystemExit(f"these are no checks: {states}")
    return wall, cpu


def _questions(presets: dict[str, str]) -> list[tuple[str, str, str]]:
    """(server, name, type) of everything one process asks for all these checks."""
    from gateway.deliverability import domains, resolver
    from gateway.deliverability.known import Known

    asked, exchange = [], resolver.exchange

    def heard(server, port, questions, **how):
        asked.extend((server, *question) for question in questions)
        return exchange(server, port, questions, **how)

    resolver.exchange = heard
    known = Known()
    for name in presets:
        domains.look(name, domains.senders(name), asking=resolver.Asking(name, known=known))
    resolver.exchange = exchange
    return asked


async def _bare(asked: list[tuple[str, str, str]]) -> float:
    import dns.asyncquery
    import dns.message

    room = asyncio.Semaphore(AT_ONCE)

    async def ask(server: str, name: str, kind: str) -> None:
        async with room:
            await dns.asyncquery.udp_with_fallback(dns.message.make_query(f"{name}.", kind), server, timeout=5)

    began = time.monotonic()
    await asyncio.gather(*(ask(*one) for one in asked))
    return time.monotonic() - began

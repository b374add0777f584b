"""`python -m benchmarks.pages [--json FILE]`: how long the panel takes for a page, with a large fleet and while a batch
runs.

Server time: requests go through the whole of Django (middleware, session, permission, queries, template) in this
process, without a network, as an administrator and as a customer with 300 servers. A second process ends jobs of a
running batch meanwhile. PostgreSQL is a cluster of our own; where its programs are missing that half is skipped, aloud.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.cluster import NoPostgres, cluster

TARGET = 150  # ms, the 95th percentile
SIZES = {"PostgreSQL": (10_000, 100_000, 5_000_000), "SQLite": (1_000, 10_000, 500_000)}
JOBS_PER_SECOND = 40  # what the simulated workers end
LEAST = 320  # a customer has 300 servers


def rows_of(database: str, environment: dict[str, str], size: tuple[int, int, int], rounds: int) -> list[dict]:
    with tempfile.TemporaryDirectory(prefix="fleetpost-pages-") as folder:
        bare = {k: v for k, v in os.environ.items() if not k.startswith(("FLEETPOST_", "DJANGO_"))}
        settings = {"FLEETPOST_DATA": f"{folder}/var", "DJANGO_SETTINGS_MODULE": "controlpanel.settings"}

        def ask(what: str, **asked):
            """In a process of its own: the environment names the database, and who measures has not filled it."""
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.pages", what, json.dumps({"database": database, **asked})],
                env=bare | settings | environment,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            return json.loads(done.stdout.splitlines()[-1])

        return ask("--measure", made=ask("--fill", size=size), rounds=rounds)


def fill(database: str, size: tuple[int, int, int]) -> dict:
    import django

    django.setup()
    from django.core.management import call_command

    from benchmarks import fleetdata

    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    began = time.monotonic()
    made = fleetdata.fill(fleetdata.Size(*size))
    note(f"{database}: {size[0]:,} servers, {size[1]:,} jobs, {size[2]:,} lines in {time.monotonic() - began:.0f} s")
    return asdict(made)


def measure(database: str, made: dict, rounds: int) -> list[dict]:
    import controlpanel.asgi  # noqa: F401 the web process, as it starts
    from benchmarks.fleetdata import Made

    worker = subprocess.Popen([sys.executable, "-m", "benchmarks.pages", "--work", json.dumps(made)])
    try:
        return [row for who in ("administrator", "customer") for row in _visit(database, who, Made(**made), rounds)]
    finally:
        worker.terminate()
        worker.wait()


def _visit(database: str, who: str, made, rounds: int) -> list[dict]:
    from django.test import Client

    from controlpanel.access.models import User

    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(User.objects.get(pk=getattr(made, who)))
    job = made.job if who == "administrator" else _job_of(getattr(made, who))
    pages = {
        "server list": "/servers/",
        "server list, page 5": "/servers/?page=5",
        "server list, working": "/servers/?state=working",
        "server list, needs you": "/servers/?state=needs-you",
        "server list, by last check": "/servers/?sort=-checked",
        "search servers": "/servers/?q=shop+00",
        "search servers, nothing found": "/servers/?q=nowhere",
        "dashboard": "/",
        "batch page": f"/jobs/batches/{made.running}/",
        "batch page, failed": f"/jobs/batches/{made.running}/?state=failed",
        "batch page, poll": f"/jobs/batches/{made.running}/?poll",
        "batch page, ended": f"/jobs/batches/{made.ended}/",
        "job list": "/jobs/",
        "job list, failed": "/jobs/?state=failed",
        "search jobs": "/jobs/?q=shop-0012",
        "job page": f"/jobs/{job}/",
    }
    times = {name: [] for name in pages}
    for turn in range(rounds + 2):
        for name, path in pages.items():
            headers = {"HX-Request": "true"} if path.endswith("?poll") else {}
            began, busy = time.perf_counter(), time.process_time()
            answer = client.get(path.removesuffix("?poll"), headers=headers)
            took = (time.perf_counter() - began) * 1000, (time.process_time() - busy) * 1000
            if answer.status_code not in (200, 286):
                raise SystemExit(f"{path} answered {answer.status_code}")
            if turn >= 2:  # the first visits compile templates and open connections
                times[name].append(took)
    return [_row(f"{name}, {who}, {database}", times[name], client, path) for name, path in pages.items()]


def _job_of(customer: int) -> int:
    from servers.jobs.models import Job

    return Job.objects.filter(server__people=customer, status="failed").order_by("pk").first().pk


def _row(name: str, times: list[tuple[float, float]], client, path: str) -> dict:
    """times: (wall, CPU of this process) in ms. On a machine that does other work only the second is the page's own."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        client.get(path.removesuffix("?poll"))
    median, worst = _spread([wall for wall, _ in times])
    _, busy = _spread([cpu for _, cpu in times])
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    slowest = max(queries, key=lambda query: float(query["time"]))
    note(f"  {name:60} p50 {median:6.0f}  p95 {worst:6.0f}  CPU p95 {busy:6.0f}  {len(queries)} queries  {load}")
    if worst > TARGET:
        note(f"      slowest query, {slowest['time']} s: {slowest['sql'][:1500]}")
    return {
        "name": name,
        "target": f"≤ {TARGET}",
        "measured": round(worst, 1),
        "unit": "ms, p95",
        "met": worst <= TARGET,
        "note": f"p50 {median:.0f} ms; CPU of the web process p95 {busy:.0f} ms; {len(queries)} queries; {load}",
    }


def _spread(times: list[float]) -> tuple[float, float]:
    """The median and the 95th percentile."""
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]


def work(made: dict) -> None:
    """Ends queued jobs of the running batch through the machine's own moves, and starts over when none is left."""
    import django

    django.setup()
    from servers.jobs import machine
    from servers.jobs.models import Job, Status

    jobs = Job.objects.filter(batch=made["running"])
    while True:
        waiting = list(jobs.filter(status=Status.QUEUED).order_by("rank", "pk").values_list("pk", flat=True)[:200])
        if not waiting:
            ended = list(jobs.order_by("pk").values_list("pk", flat=True)[:1000])
            jobs.filter(pk__in=ended).update(status=Status.QUEUED, finished_at=None)
        for pk in waiting:
            began = time.monotonic()
            job = machine.claim(pk)
            if job is not None:
                machine.hold(job)
                machine.finish(job, "succeed", outcome="The gateway is as it should be.", changed=False)
            time.sleep(max(0.0, 1 / JOBS_PER_SECOND - (time.monotonic() - began)))


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="where the rows of the table go")
    parser.add_argument("--database", choices=list(SIZES), action="append")
    quick = bool(os.environ.get("QUICK"))
    parser.add_argument("--rounds", type=int, default=5 if quick else 40)
    parser.add_argument("--scale", type=float, default=0.1 if quick else 1.0, help="0.1: a tenth of the rows")
    parser.add_argument("--fill", help=argparse.SUPPRESS)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.work:
        work(json.loads(chosen.work))
    for what, asked in ((fill, chosen.fill), (measure, chosen.measure)):
        if asked:
            print(json.dumps(what(**json.loads(asked))))
            return 0
    rows = []
    for database in chosen.database or SIZES:
        size = tuple(max(LEAST, round(count * chosen.scale)) for count in SIZES[database])
        try:
            if database == "SQLite":
                rows += rows_of(database, {}, size, chosen.rounds)
            else:
                with cluster() as environment:
                    rows += rows_of(database, environment, size, chosen.rounds)
        except NoPostgres as missing:
            note(f"{database} skipped: {missing}.")
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0 if all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

"""What the panel itself costs: `python -m benchmarks.engine` runs real workers against the fake fleet.

Prints a table and, with --json FILE, writes its rows: name, target, measured, unit, met, note. SQLite and PostgreSQL
(the one FLEETPOST_DATABASE_HOST names, which must be empty and made for this, else a throw-away one) are measured.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import cluster

ROOT = Path(__file__).parents[1]
HZ = os.sysconf("SC_CLK_TCK")


class Process:
    """Reads /proc, so that a worker is measured as it is."""

    def __init__(self, pid: int):
        self._folder = Path(f"/proc/{pid}")

    def seconds(self) -> float:
        fields = (self._folder / "stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / HZ

    def status(self, name: str) -> int:
        line = next(line for line in (self._folder / "status").read_text().split("\n") if line.startswith(name))
        return int(line.split()[1])

    def megabytes(self) -> float:
        return self.status("VmRSS") / 1024


def row(name: str, target: str, measured: float, unit: str, met: bool | None, note: str = "") -> dict:
    return {"name": name, "target": target, "measured": round(measured, 2), "unit": unit, "met": met, "note": note}


class Panel:
    """A panel's broker, worker and rows around one fleet. Everything ends with the block."""

    def __init__(self, folder: Path):
        from controlpanel import broker
        from controlpanel.celery import worker_command

        self._argv = worker_command()
        self._broker = subprocess.Popen(broker.command(folder / "broker" / "broker.sock"), stdout=subprocess.DEVNULL)
        until(lambda: broker.answers(f"redis+socket://{folder / 'broker' / 'broker.sock'}"))
        self._log = folder / "worker.log"
        self.start()

    def start(self) -> None:
        from controlpanel.management.commands.up import WORKER_ENVIRONMENT
        from servers.jobs import presence

        environment = os.environ | WORKER_ENVIRONMENT
        with self._log.open("ab") as log:
            self._worker = subprocess.Popen(
                self._argv, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.worker = Process(self._worker.pid)
        until(presence.workers_present)

    def stop(self) -> None:
        self._worker.terminate()
        self._worker.wait(60)

    def __enter__(self) -> "Panel":
        return self

    def __exit__(self, *error) -> None:
        self.stop()
        self._broker.terminate()
        self._broker.wait()
        if errors := [line for line in self._log.read_text().split("\n") if "ERROR" in line or "Traceback" in line]:
            print(f"the worker complained {len(errors)} times, first: {errors[0]}", file=sys.stderr)


def until(condition, seconds: float = 600.0, pause: float = 0.02) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("nothing came of it")
        time.sleep(pause)


def ask(servers: list, action: str = "server.check", **options):
    from servers.jobs import launch

    return launch.launch(action, servers, by=None, options=options)


def finished(batch) -> int:
    from servers.jobs.models import FINISHED

    return batch.jobs.filter(status__in=FINISHED).count()


def throughput(panel: Panel, count: int) -> list[dict]:
    """Enqueue, jobs a second, and the worker's memory on the way."""
    from tests.fakefleet import Fleet
    from tests.fakefleet.rows import enrol

    with Fleet(ok=count) as fleet:
        servers = enrol(fleet)
        ask(servers[:200])  # what a worker loads once, it has loaded
        until(lambda: all_over())
        cpu, theirs, began = panel.worker.seconds(), fleet.seconds(), time.monotonic()
        own = time.process_time()
        batch = ask(servers)
        enqueued, own = time.monotonic() - began, time.process_time() - own
        memory = []
        for mark in (count // 5, count // 2, count):
            until(lambda mark=mark: finished(batch) >= mark, pause=0.2)
            memory.append(panel.worker.megabytes())
        wall = time.monotonic() - began
        cpu, theirs = panel.worker.seconds() - cpu, fleet.seconds() - theirs
        failed = batch.jobs.unsuccessful().count()
    growth = memory[-1] / memory[0]
    marks = ", ".join(f"{megabytes:.0f} MB" for megabytes in memory)
    note = (
        f"worker {1000 * cpu / count:.1f} CPU-ms a job ({cpu / wall:.0%} of a core), the fake fleet "
        f"{1000 * theirs / count:.1f}; {failed} of {count} failed"
    )
    return [
        row(f"enqueue a batch of {count}", "≤ 2 s", enqueued, "s", enqueued <= 2, f"{own:.2f} CPU-s of this process"),
        row(
            "jobs a second, one worker process", "≥ 60", count / wall, "jobs/s", count / wall >= 60 and not failed, note
        ),
        row("the same without the fleet's share of the CPU", "", count / max(cpu, wall - theirs), "jobs/s", None),
        row(
            f"worker memory over {count} jobs",
            "≤ 1.1 ×",
            growth,
            "×",
            growth <= 1.1,
            f"against the first fifth, when all threads have worked; after a fifth, half and all jobs: {marks}",
        ),
    ]


def all_over() -> bool:
    from servers.jobs.models import Job

    return not Job.objects.live().exists()


def stretch(panel: Panel, good: int, slow: int, dead: int) -> dict:
    """How much later the good servers of a mixed fleet are done than a fleet of the same size in which all are good."""
    from servers.jobs.models import FINISHED
    from tests.fakefleet import Fleet
    from tests.fakefleet.rows import enrol

    took, most, connections = [], 0, 0
    with Fleet(ok=good) as fleet:  # what a worker loads once, it has loaded, and its threads are there
        ask(enrol(fleet))
        until(all_over)
    for counts in ({"ok": good + slow + dead}, {"ok": good, "slow": slow, "drop": dead}):
        with Fleet(**counts) as fleet:
            batch = ask(enrol(fleet))
            mine = batch.jobs.filter(server__name__endswith="-ok")
            while mine.exclude(status__in=FINISHED).exists():
                most = max(most, panel.worker.status("Threads"))
                connections = max(connections, open_connections())
                time.sleep(0.05)
            first = batch.asked_at
            took.append((mine.order_by("-finished_at")[0].finished_at - first).total_seconds())
            until(all_over)
    ratio = took[1] / took[0]
    note = f"{took[0]:.1f} s when all are good, {took[1]:.1f} s mixed; "
    note += f"at most {most} threads, {panel.worker.megabytes():.0f} MB"
    note += f", {connections} connections of the database" if connections else ""
    name = f"{good} good servers among {dead} dead and {slow} slow ones"
    return row(name, "≤ 1.2 ×", ratio, "×", ratio <= 1.2, note)


def at_once(panel: Panel, good: int, dead: int) -> dict:
    """How long one server asked by a person takes in the middle of a batch that has more dead servers than threads."""
    from django.conf import settings

    from servers.jobs.models import Status
    from tests.fakefleet import Fleet
    from tests.fakefleet.rows import enrol

    held = min(dead, settings.WORKER_THREADS) // 2
    with Fleet(ok=good, drop=dead) as fleet:
        servers = enrol(fleet)
        batch = ask(servers)
        until(lambda: batch.jobs.filter(status=Status.RUNNING, server__name__endswith="-drop").count() >= held)
        job = ask([next(server for server in servers if server.name.endswith("-ok"))]).jobs.get()
        until(lambda: not type(job).objects.live().filter(pk=job.pk).exists())
        job.refresh_from_db()
        seconds = (job.finished_at - job.queued_at).total_seconds()
        batch.jobs.filter(status=Status.QUEUED).update(status=Status.CANCELLED)
        until(all_over)
    return row("one server, asked while dead ones hold the threads", "≤ 2 s", seconds, "s", seconds <= 2)


def open_connections() -> int:
    from django.db import connection

    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from pg_stat_activity where datname = current_database()")
        return cursor.fetchone()[0]


def measure(count: int, only: str) -> list[dict]:
    """In a process of its own, whose environment names the database."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "controlpanel.settings"
    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    with Panel(settings.DATA_DIR) as panel:
        rows = throughput(panel, count) if only in ("", "throughput") else []
        if only in ("", "stretch"):
            tenth = min(count, 1000) // 10
            rows.append(stretch(panel, good=7 * tenth, slow=tenth, dead=2 * tenth))
        if only in ("", "at-once"):
            rows.append(at_once(panel, good=min(count, 1000), dead=min(count, 1000)))
    return rows


def _table(rows: list[dict]) -> str:
    lines = [f"{'':58}{'target':>10}{'measured':>12}         met"]
    for found in rows:
        met = {True: "yes", False: "NO", None: "–"}[found["met"]]
        name = f"{found['name']} ({found['database']})"
        lines.append(f"{name:58}{found['target']:>10}{found['measured']:>12} {found['unit']:7} {met}")
        lines += [f"    {found['note']}"] if found["note"] else []
    return "\n".join(lines)


def _measured(database: str, environment: dict[str, str], asked) -> list[dict]:
    with tempfile.TemporaryDirectory(prefix="fp-") as folder:
        more = ["--threads", str(asked.threads)] if asked.threads else []
        output = subprocess.run(
            [
                sys.executable,
                "-m",
                "benchmarks.engine",
                "--inside",
                "--count",
                str(asked.count),
                "--only",
                asked.only,
                *more,
            ],
            env=os.environ | {"FLEETPOST_DATA": folder} | environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
    return [{"database": database} | found for found in json.loads(output)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--count", type=int, default=10_000, help="jobs of the large batch")
    parser.add_argument("--threads", type=int, help="threads of the worker instead of its default")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="only this one")
    parser.add_argument("--only", default="", choices=("", "throughput", "stretch", "at-once"))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        print(json.dumps(measure(asked.count, asked.only)))
        return
    rows = []
    if asked.database != "postgresql":
        rows += _measured("SQLite", {"FLEETPOST_DATABASE_HOST": ""}, asked)
    if asked.database != "sqlite":
        if os.environ.get("FLEETPOST_DATABASE_HOST"):
            rows += _measured("PostgreSQL", {}, asked)
        else:
            try:
                with cluster.cluster() as environment:
                    rows += _measured("PostgreSQL", environment, asked)
            except cluster.NoPostgres as missing:
                print(f"PostgreSQL was not measured: {missing}, and FLEETPOST_DATABASE_HOST is not set.")
    print(_table(rows))
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

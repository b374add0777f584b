"""What every command of this panel shares: who acts, which servers are meant, following a batch, one JSON document.

A command hands its batch to `follow` and leaves with the exit code it returns:

    sys.exit(console.follow(batch, wait=…, as_json=…, here=…, out=self.stdout))
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import connections
from django.db.models import Q

from controlpanel.access.models import User
from servers.bulk import PolicyForm
from servers.jobs import machine, pauses, presence, report, rollout, runner
from servers.jobs.models import FINISHED, Batch, Job, Status
from servers.jobs.rollout import Policy
from servers.management.progress import progress, say
from servers.models import Server
from servers.standing import standing, words

OK, NOT_ALL, USAGE = 0, 1, 2
COMMAND_LINE = "command line"
POLL_SECONDS = 0.5


class Usage(CommandError):
    """Wrong usage: exit code 2."""

    def __init__(self, message: str):
        super().__init__(message, returncode=USAGE)


def add_actor(parser) -> None:
    parser.add_argument("--as", dest="actor", metavar="EMAIL", help="the person this is done for, in the audit log")


def actor(email: str | None) -> User | None:
    """The person behind --as, or None. Verbs get `actor(…) or COMMAND_LINE`, launch gets it as it is."""
    if not email:
        return None
    user = User.objects.filter(email__iexact=email, is_active=True).first()
    if user is None:
        raise Usage(f"There is no active person with the e-mail address {email}.")
    return user


def add_selection(parser) -> None:
    parser.add_argument("servers", nargs="*", metavar="SERVER", help="names of servers")
    parser.add_argument("--tag", action="append", default=[], help="every server with this tag")
    parser.add_argument("--all", action="store_true", help="every server")
    parser.add_argument(
        "--state", metavar="STATE", choices=words(), help="only those of them in this state; alone: of all servers"
    )


def selection(options: dict) -> list[Server]:
    """The servers a command line means, by name order, each once. Raises Usage when it means none."""
    live, state = Server.objects.live(), options.get("state")
    if options["all"] or (state and not options["servers"] and not options["tag"]):
        found = list(live)
    else:
        by_name = [server(name) for name in options["servers"]]
        by_tag = list(live.filter(tags__name__in=[tag.lower() for tag in options["tag"]]).distinct())
        found = sorted({s.pk: s for s in [*by_name, *by_tag]}.values(), key=lambda s: s.name)
    if state:
        there = set(live.filter(standing(state), pk__in=[s.pk for s in found]).values_list("pk", flat=True))
        found = [s for s in found if s.pk in there]
    if not found:
        raise Usage("This means no server: name servers, or use --tag or --all.")
    return found


def server(name: str, archived_too: bool = False) -> Server:
    found = Server.objects.filter(name__iexact=name).first()
    if found is None:
        raise Usage(f"There is no server named {name}.")
    if found.archived_at and not archived_too:
        raise Usage(f"{found.name} is archived: restore it on its Settings tab first.")
    return found


_POLICY = {
    "canary": ("N", "begin with N servers; the rest only if every one of them succeeds"),
    "batch-percent": ("N", "so many %% of the servers at a time"),
    "stop-after": ("N", "begin nothing more after N failures"),
    "stop-percent": ("N", "begin nothing more when N %% of the servers have failed"),
    "at-once": ("N", "at most N servers at work at once"),
    "order": ("ORDER", "name or random"),
    "start-at": ("TIME", "begin then, such as 02:00 or 2026-11-22T02:00, in UTC"),
    "end-at": ("TIME", "begin nothing after that, in UTC"),
}


def add_policy(parser) -> None:
    """How a batch is let loose."""
    for name, (metavar, text) in _POLICY.items():
        parser.add_argument(f"--{name}", metavar=metavar, help=text)


def policy(options: dict) -> Policy:
    """What the options of `add_policy` ask for. Raises Usage, one line per option that is wrong."""
    names = [name.replace("-", "_") for name in _POLICY]
    form = PolicyForm({name: options[name] for name in names if options.get(name) is not None})
    if not form.is_valid():
        wrong = [f"--{name.replace('_', '-')}: {text}" for name, texts in form.errors.items() for text in texts]
        raise Usage("\n".join(wrong))
    return form.policy()


def add_following(parser) -> None:
    parser.add_argument("--wait", action="store_true", help="stay until every job has finished")
    parser.add_argument("--here", action="store_true", help="run the jobs in this process instead of a worker")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def follow(batch: Batch, *, wait: bool = False, as_json: bool = False, here: bool = False, out=None) -> int:
    """Shows a batch on its way and how it ended. 0 when every job succeeded (or was only queued, without `wait`)."""
    out = out or sys.stdout
    stranded = wait and not here and not presence.workers_present()
    if (wait or here) and pauses.current():
        print("New jobs are paused: nothing begins until `fleet resume`.", file=sys.stderr)
    if stranded:
        print(
            f"No worker is running: batch {batch.pk} stays queued until one starts. "
            "Start the panel with `make up`, or run the command with --here.",
            file=sys.stderr,
        )
    elif here or wait:
        _stay(batch, here, as_json, out)
    if as_json:
        print_json(document(batch), out)
    elif not (here or wait):
        count = batch.jobs.count()
        say(out, f"Batch {batch.pk}: {count} job{'s' * (count != 1)} queued. Follow with: manage.py fleet jobs")
    return verdict(batch) if here or wait else OK


def verdict(batch: Batch) -> int:
    return NOT_ALL if batch.jobs.exclude(status=Status.SUCCEEDED).exists() else OK


def _stay(batch: Batch, here: bool, as_json: bool, out) -> None:
    try:
        with progress(batch, quiet=as_json, out=out) as show:
            for jobs in _in_process(batch) if here else _watched(batch):
                show(jobs)
    except KeyboardInterrupt:
        print(f"\nNo longer watching batch {batch.pk}; jobs already handed over go on.", file=sys.stderr)


def _watched(batch: Batch):
    while True:
        jobs = list(batch.jobs.select_related("server").prefetch_related("steps"))
        yield jobs
        if all(job.status in FINISHED for job in jobs):
            return
        time.sleep(POLL_SECONDS)


def _in_process(batch: Batch):
    """Runs the jobs on a few threads of this process, as the batch lets them go; yields what is known whenever
    something may have changed."""

    def run(pk: int) -> None:
        try:
            runner.run(pk)
        finally:
            connections.close_all()

    begun = {}
    with ThreadPoolExecutor(max_workers=min(8, batch.jobs.count() or 1)) as pool:
        while True:
            rollout.advance(batch.pk)
            turn = batch.jobs.filter(machine.ready()).order_by("pk").values_list("pk", flat=True)
            begun |= {pk: pool.submit(run, pk) for pk in turn if pk not in begun}
            yield list(batch.jobs.select_related("server").prefetch_related("steps"))
            if all(each.done() for each in begun.values()) and not batch.jobs.filter(_to_come(begun)).exists():
                break
            time.sleep(POLL_SECONDS / 5)
        for each in begun.values():
            each.result()
    yield list(batch.jobs.select_related("server").prefetch_related("steps"))


def _to_come(begun: Iterable[int]) -> Q:
    """Queued jobs that were not begun here; one that was and waits again is a worker's, as is one out of contact."""
    return Q(status=Status.QUEUED) & ~Q(pk__in=list(begun))


def document(batch: Batch) -> dict:
    """{"batch", "counts": {status: n}, "jobs": [...]}: what --json prints and scripts rely on."""
    jobs = list(batch.jobs.select_related("server").prefetch_related("steps").order_by("server__name"))
    together, _ = report.together(batch.jobs.all(), batch.action, None)
    return {
        "batch": batch.pk,
        "counts": dict(sorted(Counter(job.status for job in jobs).items())),
        "jobs": [job_document(job) for job in jobs],
    } | ({"together": together} if together else {})


def job_document(job: Job) -> dict:
    return {
        "id": job.pk,
        "server": job.server.name,
        "action": job.action,
        "status": job.status,
        "changed": job.changed,
        "outcome": job.outcome,
        "seconds": round(job.seconds, 1) if job.seconds is not None else None,
        "steps": [{"title": step.title, "status": step.state} for step in job.steps.all()],
        "result": job.result,
    }


def print_json(value, out) -> None:
    say(out, json.dumps(value, indent=2, ensure_ascii=True, default=str))


def complaint(error: ValidationError) -> Usage:
    """A refused field as one line each: "port: A port is a number from 1 to 65535."."""
    if hasattr(error, "message_dict"):
        lines = [f"{name.replace('_', ' ')}: {text}" for name, texts in error.message_dict.items() for text in texts]
    else:
        lines = error.messages
    return Usage("\n".join(line.removeprefix("__all__: ") for line in lines))

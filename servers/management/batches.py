"""manage.py fleet batch, retry, start, cancel, pause and resume: what was asked for, and the switch before new jobs."""

from servers.jobs import batchpage, launch, pauses, verdicts
from servers.jobs.models import Batch, Job
from servers.jobs.rollout import PLAIN
from servers.management import console


def add_verbs(verbs) -> None:
    show = verbs.add_parser("batch", help="how a batch stands, server by server")
    retry = verbs.add_parser("retry", help="ask again for the servers of a batch that did not succeed")
    cancel = verbs.add_parser("cancel", help="cancel what has not begun of a batch, or one job")
    start = verbs.add_parser("start", help="begin a batch now that was kept for a later time")
    for verb in (show, retry, start):
        verb.add_argument("batch", type=int, metavar="BATCH", help="its number")
    cancel.add_argument("batch", type=int, nargs="?", metavar="BATCH", help="its number")
    cancel.add_argument("--job", type=int, metavar="JOB", help="one job instead, even when it has begun")
    show.add_argument("--json", action="store_true")
    for add in (console.add_policy, console.add_following, console.add_actor):
        add(retry)
    pause = verbs.add_parser("pause", help="let no job begin; those at work go on to their end")
    pause.add_argument("--reason", default="", help="for everybody who wonders")
    for verb in (start, cancel, pause, verbs.add_parser("resume", help="let jobs begin again")):
        console.add_actor(verb)


def do_batch(command, options) -> int:
    batch = _batch(options["batch"])
    tally = verdicts.tally(batch.jobs.all())
    if options["json"]:
        about = {"action": batch.action, "asked_at": batch.asked_at.isoformat(), "stopped": batch.stopped_reason}
        found = console.document(batch) | about | {"verdicts": tally.counts, "summary": verdicts.grade(tally).sentence}
        console.print_json(found, command.stdout)
        return console.OK
    command.stdout.write(f"Batch {batch.pk}: {launch.title(batch.action)}. {verdicts.grade(tally).sentence}")
    if batch.stopped_reason:
        command.stdout.write(f"Stopped: {batch.stopped_reason}")
    for job in batch.jobs.select_related("server").order_by("server__name").iterator():
        command.stdout.write(f"{job.server.name}\t{verdicts.verdict(job)}\t{f'{job.outcome} {job.hint}'.strip()}")
    return console.OK


def do_retry(command, options) -> int:
    again = batchpage.to_retry(_batch(options["batch"]).jobs.all())
    policy = console.policy(options)  # left alone: as the batch was let loose
    if not again.exists():
        command.stdout.write("Nothing to retry: every job succeeded, has not finished, or was asked for again.")
        return console.OK
    try:
        made = launch.retry(again, by=console.actor(options["actor"]), policy=None if policy == PLAIN else policy)
    except (launch.Busy, launch.Archived) as error:
        command.stderr.write(f"{error} {error.hint}")
        return console.NOT_ALL
    return console.follow(made, wait=options["wait"], as_json=options["json"], here=options["here"], out=command.stdout)


def do_start(command, options) -> int:
    if not launch.start_now(_batch(options["batch"]), by=console.actor(options["actor"]) or console.COMMAND_LINE):
        raise console.Usage("This batch does not wait for a time.")
    command.stdout.write(f"Batch {options['batch']} begins now.")
    return console.OK


def do_cancel(command, options) -> int:
    by = console.actor(options["actor"]) or console.COMMAND_LINE
    if (options["job"] is None) == (options["batch"] is None):
        raise console.Usage("Name a batch, or one job with --job.")
    if options["batch"] is not None:
        count = launch.cancel_queued(_batch(options["batch"]), by=by)
        command.stdout.write(f"{count} job{'s' * (count != 1)} cancelled. What has begun goes on to its end.")
        return console.OK
    job = Job.objects.select_related("server").filter(pk=options["job"]).first()
    if job is None:
        raise console.Usage(f"There is no job {options['job']}.")
    done = launch.cancel(job, by=by)
    command.stdout.write("Cancelled, or asked to stop between two steps." if done else "This job had ended already.")
    return console.OK


def do_pause(command, options) -> int:
    pauses.pause(by=console.actor(options["actor"]) or console.COMMAND_LINE, reason=options["reason"])
    command.stdout.write("No job begins until `fleet resume`. Jobs at work go on to their end.")
    return console.OK


def do_resume(command, options) -> int:
    there_was = pauses.resume(by=console.actor(options["actor"]) or console.COMMAND_LINE)
    command.stdout.write("Jobs begin again." if there_was else "There was no pause.")
    return console.OK


def _batch(number: int) -> Batch:
    found = Batch.objects.filter(pk=number).first()
    if found is None:
        raise console.Usage(f"There is no batch {number}.")
    return found

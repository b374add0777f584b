"""Changes on a server: the real detached runner, on a folder that stands for a server. Only the wire is a fake."""

import fcntl
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from django.utils import timezone

from controlpanel.access.models import PanelIdentity
from servers.jobs import follow, launch, machine, runner
from servers.jobs.converge import converge
from servers.jobs.lease import LeaseLost
from servers.jobs.models import Job, JobStep, Status
from servers.jobs.run import Run
from servers.remote import detached, errors
from servers.remote.plan import Plan, Step
from servers.remote.secret import MASK
from tests.factories import JobFactory, OperatorFactory, ServerFactory
from tests.jobs.processes import until
from tests.toyservice.actions import _steps
from tests.toyservice.machine import ToyHost, dial

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("toys", "rings")]


@pytest.fixture(autouse=True)
def machine_folder(toy_machine, settings):
    settings.JOB_PATIENCE_SECONDS = 1.5
    ToyHost.cuts = []
    return toy_machine


def ask(server=None, action="toy.set", **options) -> Job:
    return launch.launch(action, [server or ServerFactory()], by=None, options=options).jobs.get()


def done(server=None, action="toy.set", **options) -> Job:
    return runner.run_here(ask(server, action, **options), dial)


def steps(job: Job) -> list[tuple[str, str]]:
    return list(job.steps.values_list("slug", "state"))


def lines(job: Job, slug: str = "") -> list[str]:
    found = job.lines.filter(step__slug=slug) if slug else job.lines
    return list(found.values_list("text", flat=True))


SET = [
    ("observe", "unchanged"),
    ("pen", "unchanged"),
    ("prepare", "changed"),
    ("write", "changed"),
    ("verify", "unchanged"),
]


def test_a_change_is_looked_at_planned_applied_and_looked_at_again(machine_folder):
    job = done(text="canary-text")
    assert (job.status, job.changed, job.outcome) == ("succeeded", True, "The note is written.")
    assert steps(job) == SET
    assert (machine_folder / "note").read_text() == "canary-text"
    assert lines(job, "prepare") == ["getting ready", "ready"]


def test_secrets_of_the_plan_are_masked_in_what_the_server_prints():
    job = done(text="canary-text")
    assert lines(job, "write") == [f"wrote {MASK}"]
    assert "canary-text" not in str(list(job.lines.values())) + str(job.result) + job.outcome


def test_a_second_run_changes_nothing_and_says_so(machine_folder):
    server = ServerFactory()
    done(server)
    before = (machine_folder / "note").stat().st_mtime_ns
    job = done(server)
    assert (job.status, job.changed, job.outcome) == ("succeeded", False, "Nothing to change. The note is written.")
    assert steps(job) == [("observe", "unchanged")]
    assert (machine_folder / "note").stat().st_mtime_ns == before


def test_a_preview_shows_the_plan_and_touches_nothing(machine_folder):
    job = done(dry_run=True)
    assert (job.status, job.changed) == ("succeeded", False)
    assert [step["title"] for step in job.result["preview"]["steps"]] == ["Prepare", "Write the note"]
    assert not (machine_folder / "note").exists()


def test_a_refusal_stops_before_any_change_with_its_fix(machine_folder):
    job = done(refuse=True)
    assert (job.status, job.cause, job.outcome, job.hint) == (
        "failed",
        "no-pen",
        "The server has no pen.",
        "Install a pen.",
    )
    assert not (machine_folder / "fleetpost").exists()


def test_a_failed_proof_stops_before_any_change(machine_folder):
    job = done(dry_pen=True)
    assert (job.status, job.cause, job.changed) == ("failed", "dry-pen", False)
    assert not (machine_folder / "fleetpost").exists()


def test_a_failed_step_is_put_back_and_its_words_are_the_evidence(machine_folder):
    job = done(text="poison")
    assert (job.status, job.cause, job.changed) == ("failed", "step-write", False)
    assert job.outcome == "“Write the note” failed. Everything was put back."
    assert job.result["evidence"] == f"wrote {MASK}"
    assert steps(job)[2:] == [
        ("prepare", "changed"),
        ("write", "failed"),
        ("undo-write", "changed"),
        ("undo-prepare", "changed"),
    ]
    assert lines(job, "undo-prepare") == ["tidied"]
    assert not (machine_folder / "note").exists()


@pytest.mark.parametrize("cut", [[0], [1], [40], [200], [0, 0, 90, 300], [5, 5, 5, 5]])
def test_a_connection_cut_anywhere_costs_nothing(machine_folder, cut):
    """The line goes dead after that many bytes; each event is recorded once all the same."""
    ToyHost.cuts = list(cut)
    job = done(text="canary-text")
    assert job.status == "succeeded"
    assert steps(job) == SET
    assert lines(job) == ["getting ready", "ready", f"wrote {MASK}"]
    assert not ToyHost.cuts, "the cuts did happen"
    assert (machine_folder / "note.prepared").read_text() == "x\n", "the step ran once"


def lose_after(root, job: Job) -> None:
    """Runs the job in this thread and unplugs the server as soon as its first step is on the page."""

    def unplug():
        until((root / "note.prepared").exists)
        time.sleep(0.2)
        (root / "unplugged").touch()

    thread = threading.Thread(target=unplug)
    thread.start()
    runner.run(job.pk, dial)
    thread.join()
    job.refresh_from_db()


def test_a_server_that_stays_away_is_lost_contact_and_the_journal_decides_later(machine_folder):
    job = ask(text="canary-text", pause=1)
    lose_after(machine_folder, job)
    assert (job.status, job.finished_at) == (Status.LOST_CONTACT, None)
    assert job.steps.get(slug="prepare").state == JobStep.State.RUNNING
    until((machine_folder / "note").exists, what="the end of the work nobody was watching")
    (machine_folder / "unplugged").unlink()
    runner.run(job.pk, dial)
    job.refresh_from_db()
    assert (job.status, job.changed, job.fence, job.lost_at) == ("succeeded", True, 2, None)
    assert steps(job) == SET, "no step was lost, none recorded twice"
    assert (machine_folder / "note.prepared").read_text() == "x\n", "the step ran once"


def test_a_failure_nobody_was_watching_is_told_when_contact_is_back(machine_folder):
    job = ask(text="poison", pause=1)
    lose_after(machine_folder, job)
    until(lambda: not (machine_folder / "note.prepared").exists(), what="the undoing")
    (machine_folder / "unplugged").unlink()
    time.sleep(0.5)
    runner.run(job.pk, dial)
    job.refresh_from_db()
    assert (job.status, job.cause, job.changed) == ("failed", "step-write", False)
    assert job.outcome == "“Write the note” failed. Everything was put back."


def test_a_job_lost_before_its_script_arrived_starts_from_the_beginning(machine_folder):
    job = JobFactory(lost=True, submitted_at=timezone.now(), batch__options={"text": "late"})
    runner.run(job.pk, dial)
    job.refresh_from_db()
    assert (job.status, job.changed) == ("succeeded", True)
    assert (machine_folder / "note").read_text() == "late"


def test_a_run_killed_on_the_server_is_put_back_and_done_again(machine_folder):
    job = ask(text="canary-text", pause=2)
    killed = []

    def kill():
        until((machine_folder / "note.prepared").exists)
        for process in Path("/proc").glob("[0-9]*"):
            words = []
            with suppress(OSError):
                words = (process / "cmdline").read_bytes().split(b"\0")
            if str(job.token).encode() in words and b"run" in words:
                os.kill(int(process.name), signal.SIGKILL)
                killed.append(process.name)

    thread = threading.Thread(target=kill)
    thread.start()
    runner.run(job.pk, dial)
    thread.join()
    job.refresh_from_db()
    assert killed
    assert (job.status, job.changed) == ("succeeded", True)
    assert (machine_folder / "note").read_text() == "canary-text"
    assert [slug for slug, _ in steps(job)] == [
        *("observe", "pen", "prepare", "undo-prepare"),
        *("observe", "pen", "prepare", "write", "verify"),
    ]


@pytest.mark.django_db(transaction=True)
def test_cancelling_stops_the_server_before_its_next_step_and_puts_back(machine_folder, monkeypatch):
    monkeypatch.setattr(follow, "CANCEL_CHECK", 0.1)
    job = ask(text="canary-text", pause=6)
    person = OperatorFactory()

    def cancel():
        until((machine_folder / "note.prepared").exists)
        launch.cancel(job, by=person)

    thread = threading.Thread(target=cancel)
    thread.start()
    runner.run(job.pk, dial)
    thread.join()
    job.refresh_from_db()
    assert (job.status, job.changed) == ("cancelled", False)
    assert job.outcome == "Cancelled between two steps. Everything was put back."
    assert steps(job)[2:] == [("prepare", "changed"), ("write", "skipped"), ("undo-prepare", "changed")]
    assert not (machine_folder / "note").exists()


def test_a_worker_with_an_older_fence_is_refused_by_the_server_itself(machine_folder):
    """The panel's lease is one guard, the server's own memory the other."""
    job = done(text="one")
    panel = str(PanelIdentity.objects.get().token)
    heard = []
    stale = detached.submit_script(Plan(steps=_steps("stale", 0)), "00000000-stale", job.pk * follow.FENCES, panel)
    ToyHost(machine_folder).run(stale, on_stdout=heard.append)
    assert b"".join(heard).startswith(b"~refused fence")
    assert (machine_folder / "note").read_text() == "one"


def test_a_panel_restored_from_a_backup_still_gets_its_orders_through(machine_folder):
    """Its numbers are lower than those the server has seen; the lease in its database says the order is the newest."""
    server = ServerFactory()
    done(server, text="one")
    fence = next((machine_folder / "fleetpost" / "fence").iterdir())
    fence.write_text(f"999999999 {fence.name}\n")
    job = done(server, text="two")
    assert (job.status, (machine_folder / "note").read_text()) == ("succeeded", "two")
    assert int(fence.read_text().split()[0]) == 1_000_000_000


def test_another_run_on_the_server_is_not_disturbed(machine_folder):
    done(ServerFactory(), text="one")
    with (machine_folder / "fleetpost" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        job = done(ServerFactory(), text="two")
    assert (job.status, job.cause, job.changed) == ("failed", "refused-busy", False)
    assert (machine_folder / "note").read_text() == "one"


def test_a_paused_worker_submits_nothing_once_its_lease_is_lost(machine_folder):
    first = machine.claim(ask(text="x").pk)
    with Run(first, dial) as run:
        Job.objects.filter(pk=first.pk).update(fence=2)
        with pytest.raises(LeaseLost):
            run.apply(Plan(steps=(Step("a", "A", do="echo acted > acted"),)))
    assert not (machine_folder / "fleetpost").exists()


def test_a_server_that_refuses_the_sign_in_is_not_asked_again_and_again(machine_folder):
    """Three refusals and fail2ban locks the panel out: after the first one five minutes pass."""
    job, calls = JobFactory(lost=True, submitted_at=timezone.now()), []

    def refused(login):
        calls.append(login)
        raise errors.SignInRefused

    runner.run(job.pk, refused)
    job.refresh_from_db()
    assert (job.status, job.cause, len(calls)) == (Status.LOST_CONTACT, "sign-in", 1)
    assert (job.due_at - timezone.now()).total_seconds() > 290


def test_a_worker_that_lost_its_lease_does_not_conclude(machine_folder):
    """The service's own rows are written in `conclude`: it is not called for a claim that is no longer the newest."""
    first = machine.claim(ask(text="x").pk)
    concluded = []

    def look_and_lose(host):
        Job.objects.filter(pk=first.pk).update(fence=2)
        return "x"

    with Run(first, dial) as run, pytest.raises(LeaseLost):
        converge(run, observe=look_and_lose, plan=lambda facts: Plan(), conclude=lambda *told: concluded.append(told))
    assert not concluded

"""However a run ends, the row tells the truth."""

import logging
import threading
from datetime import timedelta

import pytest
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from servers.jobs import launch, machine, runner
from servers.jobs.lease import LeaseLost
from servers.jobs.models import Job, JobStep, Status
from servers.jobs.outcomes import Revoked
from servers.jobs.run import Conclusion, Run
from servers.remote import keypair
from servers.remote.errors import HostKeyChanged
from servers.remote.host import PinnedKey
from servers.remote.secret import MASK
from tests.factories import CustomerFactory, HostKeyFactory, JobFactory, OperatorFactory, ServerFactory
from tests.toyservice.machine import dial

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("toys", "rings", "toy_machine")]


def done(action, by=None, server=None, **options) -> Job:
    job = launch.launch(action, [server or ServerFactory()], by=by, options=options).jobs.get()
    return runner.run_here(job, dial)


def lines(job: Job) -> list[str]:
    return list(job.lines.values_list("text", flat=True))


def test_a_look_succeeds_and_changes_nothing():
    job = done("toy.look")
    assert (job.status, job.changed, job.outcome, job.result) == ("succeeded", False, "There is no note.", {"note": ""})
    step = job.steps.get()
    assert (step.state, lines(job)) == ("unchanged", ["no note"])
    assert step.finished_at >= step.started_at
    assert job.finished_at >= job.started_at


def test_the_server_saying_no_is_a_failure_with_cause_and_next_move():
    job = done("toy.fail")
    assert (job.status, job.cause, job.hint) == ("failed", "said-no", "Ask again nicely.")
    assert job.steps.get().state == "failed"


def test_an_unreachable_server_is_a_failure_in_its_own_words():
    job = done("toy.unreachable")
    assert (job.status, job.cause, job.changed) == ("failed", "connect-timeout", False)
    assert job.outcome == "The server did not answer on its SSH port."
    assert "firewall" in job.hint


def test_our_own_fault_is_an_error_whose_details_stay_in_the_log(caplog):
    with caplog.at_level(logging.ERROR):
        job = done("toy.crash")
    assert (job.status, job.cause, job.steps.get().state) == ("errored", "panel-error", "failed")
    assert "canary-crash-detail" not in job.outcome + job.hint + "".join(lines(job))
    assert "canary-crash-detail" in caplog.text


def test_an_action_nobody_offers_any_more_ends_as_an_error():
    job = runner.run_here(JobFactory(action="gone.away"), dial)
    assert (job.status, job.cause) == ("errored", "panel-error")


def test_silence_is_not_failure():
    job = done("toy.lose")
    assert (job.status, job.finished_at) == ("lost-contact", None)
    assert job.due_at > timezone.now()


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_database_that_was_away_costs_the_lease_and_no_outcome(error, toy_machine, monkeypatch):
    job = launch.launch("toy.set", [ServerFactory()], by=None, options={"text": "once"}).jobs.get()

    def restart(login):
        raise error("terminating connection due to administrator command")

    job = runner.run_here(job, restart)
    assert (job.status, job.submitted_at) == (Status.RUNNING, None), "as a worker leaves it that is killed"
    machine.expire(timezone.now() + timedelta(minutes=5))
    job = runner.run_here(job, dial)
    assert (job.status, job.fence, (toy_machine / "note").read_text().strip()) == (Status.SUCCEEDED, 2, "once")


def test_a_database_away_when_the_run_concludes_leaves_the_end_to_the_next_look(toy_machine, monkeypatch):
    job = launch.launch("toy.set", [ServerFactory()], by=None, options={"text": "once"}).jobs.get()

    def away(*args, **fields):
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as broken:
        broken.setattr(machine, "finish", away)
        job = runner.run_here(job, dial)
    assert job.status == Status.RUNNING
    machine.expire(timezone.now() + timedelta(minutes=5))
    job = runner.run_here(job, dial)
    assert (job.status, job.changed) == (Status.SUCCEEDED, True), "the run on the server was found, not repeated"


def test_cancelling_stops_between_two_steps():
    job = launch.launch("toy.hang", [ServerFactory()], by=None).jobs.get()
    person = OperatorFactory()
    claimed = machine.claim(job.pk)
    launch.cancel(job, by=person)
    runner.work(claimed, dial)
    job.refresh_from_db()
    assert (job.status, job.cause, job.cancel_asked_by) == ("cancelled", "cancelled", person)
    assert not job.steps.exists(), "it had not begun a step"


LOSSES = {
    "deactivated": lambda person, server: person.__class__.objects.filter(pk=person.pk).update(is_active=False),
    "made a viewer": lambda person, server: person.__class__.objects.filter(pk=person.pk).update(role="viewer"),
    "server taken away": lambda person, server: server.people.remove(person),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_whoever_loses_the_right_in_the_middle_changes_nothing_any_more(loss, toy_machine, monkeypatch):
    """The job is at its last look before the change when the right is lost."""
    person = CustomerFactory()
    server = ServerFactory(people=[person])
    job = launch.launch("toy.set", [server], by=person, options={"text": "x"}).jobs.get()

    def lose_it_on_the_wire(login):
        LOSSES[loss](person, server)
        return dial(login)

    job = runner.run_here(job, lose_it_on_the_wire)
    assert (job.status, job.cause, job.changed, job.submitted_at) == ("cancelled", "revoked", False, None)
    assert job.outcome.startswith("Stopped before anything was handed to the server")
    assert [step.slug for step in job.steps.all()] == ["observe"]
    assert not (toy_machine / "note").exists()
    again = runner.run_here(JobFactory(server=server, action="toy.look", mutating=False, batch__asked_by=person), dial)
    assert (again.cause, again.steps.count()) == ("revoked", 0), "what still waits in the queue does not begin"


def test_the_command_line_and_a_change_under_way_are_nobodys_to_revoke():
    person = OperatorFactory()
    job = machine.claim(JobFactory(action="toy.look", mutating=False, batch__asked_by=person).pk)
    person.__class__.objects.filter(pk=person.pk).update(is_active=False)
    with Run(job, dial) as run:
        run.handed_over = True
        run.check_cancelled()
        run.handed_over = False
        with pytest.raises(Revoked):
            run.check_cancelled()
    assert done("toy.look", by="command line").status == "succeeded"


def test_delivering_a_bell_twice_runs_the_job_once():
    job = launch.launch("toy.look", [ServerFactory()], by=None).jobs.get()
    runner.run(job.pk, dial)
    runner.run(job.pk, dial)
    runner.run(10**9, dial)
    job.refresh_from_db()
    assert (job.fence, job.steps.count(), job.status) == (1, 1, "succeeded")


@pytest.mark.parametrize("secret", ["canary-'quoted'", "tab\there $x", "ünïcode-canary", 'canary#:/&"\\%'])
def test_a_secret_is_masked_in_lines_outcome_and_result(secret):
    job = done("toy.chatter", secret=secret)
    stored = "\n".join([job.outcome, str(job.result), *lines(job)])
    assert secret not in stored
    assert stored.count(MASK) == 5


def test_a_run_that_lost_its_lease_writes_nothing_more():
    claimed = machine.claim(JobFactory(action="toy.look", mutating=False).pk)
    with Run(claimed, dial) as run:
        with run.step("one", "One") as step:
            step.line("mine")
        Job.objects.filter(pk=claimed.pk).update(fence=2)
        with pytest.raises(LeaseLost):
            run.check_cancelled() or run.flush() or run.lease.renew()
        with pytest.raises(LeaseLost), run.step("two", "Two"):
            raise AssertionError("not reached")
        with pytest.raises(LeaseLost):
            run.connect()
    assert lines(claimed) == ["mine"]
    assert claimed.steps.count() == 1
    assert not machine.finish(claimed, "succeed", outcome="Done.")


def test_a_worker_paused_in_the_middle_of_a_step_neither_records_nor_concludes():
    """The step is open when another worker takes the job: its lines, its end and the conclusion are all refused."""
    first = machine.claim(JobFactory(action="toy.look", mutating=False).pk)

    def paused(run: Run) -> Conclusion:
        with run.step("look", "Look") as step:
            step.line("before the pause")
            run.flush()
            machine.expire(timezone.now() + timedelta(minutes=5))
            assert machine.claim(first.pk).fence == 2
            step.line("after the pause")
        return Conclusion(True, "All is well.")

    with Run(first, dial) as run, pytest.raises(LeaseLost):
        paused(run)
    first.refresh_from_db()
    assert (first.status, first.fence, lines(first)) == (Status.RUNNING, 2, ["before the pause"])


def test_steps_of_an_interrupted_attempt_do_not_stay_open():
    job = JobFactory(running=True, action="toy.look", mutating=False)
    JobStep.objects.create(job=job, position=1, slug="look", title="Look", started_at=timezone.now())
    machine.expire(timezone.now() + timedelta(minutes=5))
    runner.run(job.pk, dial)
    assert list(job.steps.values_list("state", flat=True)) == ["skipped", "unchanged"]


@pytest.mark.django_db(transaction=True)
def test_a_line_is_on_the_page_within_a_second_while_the_server_is_silent(settings):
    settings.JOB_HEARTBEAT_SECONDS = 5
    claimed = machine.claim(JobFactory(action="toy.look", mutating=False).pk)
    seen = threading.Event()
    with Run(claimed, dial) as run, run.step("wait", "Wait") as step:
        step.line("now it becomes quiet")
        for _ in range(20):
            if lines(claimed):
                seen.set()
                break
            seen.wait(0.05)
    assert seen.is_set()


@pytest.mark.django_db(transaction=True)
def test_the_lease_is_kept_while_a_step_takes_long(settings):
    settings.JOB_HEARTBEAT_SECONDS, settings.JOB_LEASE_SECONDS = 0.5, 2
    claimed = machine.claim(JobFactory(action="toy.look", mutating=False).pk)
    with Run(claimed, dial):
        threading.Event().wait(3)
        assert machine.expire(timezone.now()) == 0


def test_a_secret_that_does_not_open_is_told_with_its_next_move(settings):
    server = ServerFactory()
    settings.VAULT_KEYS = [("other", settings.VAULT_KEYS[0][1])]
    job = launch.launch("toy.look", [server], by=None).jobs.get()
    assert runner.run_here(Job.objects.get(pk=job.pk), dial).status == "errored"
    job.refresh_from_db()
    assert job.outcome == "A stored secret cannot be opened with the keys of this panel."
    assert "Restore the key file" in job.hint


def test_a_changed_host_key_blocks_the_server_whichever_job_meets_it():
    pin = HostKeyFactory(state="pinned")
    _, public = keypair.generate("impostor")
    shown = PinnedKey("ssh-ed25519", public.split()[1])
    job = launch.launch("toy.look", [pin.server], by=None).jobs.get()

    def refuse(*_):
        raise HostKeyChanged(offered=shown)

    job = runner.run_here(job, refuse)
    pin.server.refresh_from_db()
    assert (job.status, job.cause) == ("failed", "host-key-changed")
    assert pin.server.reach == "key-changed"
    assert pin.server.host_keys.get(state="offered").body == shown.body
    assert pin.server.host_keys.get(state="pinned").body == pin.body

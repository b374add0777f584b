"""What is wanted, what is in force, and what is said about it."""

import re
from base64 import b64encode
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone

from gateway import gateways, smarthosts, values, wanted
from gateway.gateways import Seen
from gateway.models import Gateway, TestEmail, Tls
from gateway.values import Values
from servers.jobs import machine, runner, sweeper
from servers.jobs.launch import Busy, launch
from servers.jobs.models import Job
from servers.models import Server
from servers.remote.errors import ConnectRefused
from servers.remote.host import Output
from servers.remote.secret import Secret
from tests.factories import GatewayFactory, JobFactory, OwnSmarthostFactory, ServerFactory, SmarthostFactory

pytestmark = pytest.mark.django_db
SEEN = Seen(generation="abc", queued=2, os_name="Debian", postfix="3.7.11", log_source="journal")


def test_states_of_many_servers_take_one_query(django_assert_num_queries):
    working, bare = [GatewayFactory(working=True).server for _ in range(3)], ServerFactory()
    Gateway.objects.filter(server=working[1]).update(state="broken", reason="Edited by hand.")
    Gateway.objects.filter(server=working[2]).update(in_doubt=True)
    busy = GatewayFactory(working=True).server
    JobFactory(server=busy, action="gateway.install")
    tested = GatewayFactory(working=True).server
    JobFactory(server=tested, action="gateway.test", mutating=False)
    with django_assert_num_queries(1):
        found = gateways.states([*working, busy, tested, bare])
    words = [found[server.pk].word for server in (*working, busy, tested, bare)]
    assert words == ["working", "needs-you", "unknown", "checking", "working", "absent"]
    assert found[working[1].pk].detail == "Edited by hand."


def test_applied_changes_only_by_proof(administrator):
    gateway = GatewayFactory()
    server, smarthost = gateway.server, gateway.wanted
    gateways.begin(server)
    assert gateways.state_of(Gateway.objects.get(server=server)).word == "unknown"
    gateways.put_back(server)
    assert gateways.state_of(Gateway.objects.get(server=server)).word == "absent"
    gateways.proved(server, smarthost, smarthost.revision, SEEN, share=0)
    proved = Gateway.objects.get(server=server)
    assert (proved.applied, proved.state, proved.queued, proved.generation) == (smarthost, "working", 2, "abc")
    assert not proved.pending


def test_a_job_given_up_leaves_a_state_nobody_knows_and_the_way_to_know_it(operator_client):
    """The change was handed over, and the server stayed away until the panel stopped waiting."""
    gateway = GatewayFactory()
    job = machine.claim(JobFactory(server=gateway.server, action="gateway.install").pk)
    gateways.begin(gateway.server)
    assert machine.hold(job, submitted_at=timezone.now())
    assert machine.lose_contact(job, outcome="The line is silent.")
    services = reverse("servers:services", args=[gateway.server_id])
    check = reverse("gateway:check", args=[gateway.server_id])
    assert gateways.states([gateway.server])[gateway.server_id].word == "checking"
    Job.objects.update(lost_at=timezone.now() - timedelta(hours=7), due_at=timezone.now())
    sweeper.sweep()
    job.refresh_from_db()
    assert (job.status, job.cause) == ("errored", "lost-contact")
    state = gateways.states([gateway.server])[gateway.server_id]
    assert (state.word, state.detail) == ("unknown", "nobody has seen how the last change ended; check the gateway")
    text = operator_client.get(services).content.decode()
    assert "Nobody has seen how the last change ended" in text
    assert f'action="{check}"' in text
    assert operator_client.post(check).status_code == 302
    assert Job.objects.filter(action="gateway.check", status="queued").exists()


def test_a_worker_lost_five_times_before_handing_over_leaves_no_false_certainty():
    gateway = GatewayFactory(working=True)
    gateways.begin(gateway.server)
    lost = timezone.now() - timedelta(seconds=1)
    job = JobFactory(server=gateway.server, action="gateway.reinstall", lost=True, fence=5, due_at=lost)
    sweeper.sweep()
    job.refresh_from_db()
    assert (job.status, job.cause) == ("errored", "worker-lost")
    assert gateways.states([gateway.server])[gateway.server_id].word == "unknown"


def test_a_proof_does_not_undo_what_was_wanted_meanwhile():
    gateway, newer = GatewayFactory(), SmarthostFactory()
    Gateway.objects.filter(pk=gateway.pk).update(wanted=newer)
    gateways.proved(gateway.server, gateway.wanted, 1, SEEN, share=0)
    now = Gateway.objects.get(pk=gateway.pk)
    assert (now.wanted, now.applied, now.pending) == (newer, gateway.wanted, True)


def test_a_rotated_password_counts_as_not_applied(administrator):
    gateway = GatewayFactory(working=True)
    new = values.replace(values.of(gateway.wanted), password=Secret("rotated"))
    smarthosts.change(gateway.wanted, gateway.wanted.name, new, by=administrator)
    assert Gateway.objects.get(pk=gateway.pk).pending


def test_uninstalled_keeps_or_forgets_what_was_typed():
    own = OwnSmarthostFactory()
    GatewayFactory(server=own.server, wanted=own, working=True)
    gateways.removed(own.server, SEEN, forget=False)
    assert Gateway.objects.get(server=own.server).wanted == own
    gateways.removed(own.server, SEEN, forget=True)
    assert Gateway.objects.get(server=own.server).wanted is None
    assert not own.server.own_smarthosts.exists()


def test_ask_saves_nothing_when_the_server_is_busy(administrator):
    gateway = GatewayFactory(working=True)
    JobFactory(server=gateway.server, action="gateway.check", mutating=True)
    with pytest.raises(Busy):
        gateways.ask("gateway.install", [gateway.server], SmarthostFactory(), by=administrator)
    assert Gateway.objects.get(pk=gateway.pk).wanted == gateway.wanted
    assert Job.objects.count() == 1


def test_a_provider_without_its_password_is_not_installed(administrator):
    with pytest.raises(ValidationError, match="none is stored"):
        gateways.ask("gateway.install", [ServerFactory()], SmarthostFactory(password=None), by=administrator)


def test_without_a_provider_there_is_nothing_to_install(administrator):
    with pytest.raises(gateways.NothingWanted):
        gateways.ask("gateway.install", [ServerFactory()], by=administrator)


# ── rows → what Postfix understands ──────────────────────────────────────────────────────────────────────────────────


def test_a_row_becomes_a_relay():
    row = SmarthostFactory(
        host="smtp.example.com",
        port=465,
        tls=Tls.IMPLICIT,
        verify_certificate=False,
        username="me",
        password=Secret("pw"),
        helo_name="web.example.com",
        root_address="admin@example.com",
    )
    relay = wanted.relay(row, 0)
    assert (relay.host, relay.port, relay.tls, relay.verify) == ("smtp.example.com", 465, "implicit", False)
    assert (relay.username, relay.password) == ("me", Secret("pw"))
    assert (relay.helo_name, relay.root_address, relay.rewrite) == (
        "web.example.com",
        "admin@example.com",
        "@example.com",
    )


def test_a_token_for_both_fields_signs_in_with_both(administrator):
    row = smarthosts.create("p", Values(preset="postmark", password=Secret("token-1")), by=administrator)
    relay = wanted.relay(row, 0)
    assert (relay.username, relay.password) == ("token-1", Secret("token-1"))


def test_a_provider_that_wants_from_to_be_the_login_rewrites_every_sender(administrator):
    new = Values(preset="m365", username="box@example.com", password=Secret("pw"), sending_domain="example.com")
    assert wanted.relay(smarthosts.create("m", new, by=administrator), 0).forced_sender == "box@example.com"


def test_a_relay_without_sign_in_has_no_password(administrator):
    relay = wanted.relay(smarthosts.create("g", Values(preset="godaddy-relay"), by=administrator), 0)
    assert (relay.username, relay.password, relay.tls) == ("", None, "none")


def test_digest_keys_differ_by_server_and_stay():
    one, two = ServerFactory(), ServerFactory()
    assert wanted.digest_key(one) == wanted.digest_key(one)
    assert wanted.digest_key(one) != wanted.digest_key(two)
    assert len(wanted.digest_key(one)) == 32


@pytest.mark.parametrize(("delivery", "waiting"), [("sent", 3), ("bounced", 3), ("deferred", 4), ("queued", 4)])
def test_a_test_email_that_is_not_through_counts_as_waiting(delivery, waiting):
    gateway = GatewayFactory(queued=3)
    job = JobFactory(server=gateway.server, action="gateway.test", mutating=False)
    result = {"delivery": delivery, "reply": "450 later", "seconds": 1.0}
    for _ in range(2):  # a job taken up by a second worker is one test all the same
        gateways.tested(gateway.server, gateway.wanted, result, job=job)
    gateway.refresh_from_db()
    assert (gateway.queued, gateway.last_test["delivery"]) == (waiting, delivery)


# ── one answer, in Python and in SQL ─────────────────────────────────────────────────────────────────────────────────


def test_states_and_in_state_agree_for_every_state_and_with_jobs_at_work():
    made = [ServerFactory()]
    for state in Gateway.State:
        for doubt in (False, True):
            for job in (None, "gateway.install", "gateway.check", "gateway.test"):
                gateway = GatewayFactory(state=state, in_doubt=doubt, queued=int(doubt))
                if job:
                    JobFactory(server=gateway.server, action=job, mutating=job == "gateway.install")
                    done = JobFactory(server=gateway.server, action="gateway.install", succeeded=True)
                    assert not done.live
                made.append(gateway.server)
    JobFactory(server=made[0], action="gateway.check", mutating=False)
    found = gateways.states(made)
    for word in (*set(gateways.WORDS.values()), "checking", "paused"):
        in_sql = set(Server.objects.filter(gateways.in_state(word)).values_list("pk", flat=True))
        assert in_sql == {pk for pk, state in found.items() if state.word == word}, word
    finer = [set(Server.objects.filter(gateways.in_state(word))) for word in gateways.FINER.values()]
    assert set.union(*finer) == set(Server.objects.filter(gateways.in_state("needs-you")))
    assert not set.intersection(*finer)


# ── an installation that failed, a gateway somebody changed ──────────────────────────────────────────────────────────


class Wire:
    """A server that answers every look with a Debian 12 on which no Postfix is."""

    sections = dict.fromkeys(
        (
            *("audit", "space", "listeners", "packages", "queue", "main.cf", "master.cf", "manifest", "before"),
            *("record", "added", "removed", "maps", "waiting", "other-queue"),
        ),
        b"",
    ) | {
        "os": b"ID=debian\nVERSION_ID=12\nPRETTY_NAME=Debian 12\n",
        "system": b"uid=0\nsystemd=1\njournal=1\nfqdn=web.example.com\nhostname=web\n",
        "end": b"end\n",
    }

    def __init__(self, login):
        pass

    def run(self, script, **how) -> Output:
        nonce = re.search(rb"[0-9a-f]{32}", script.encode() if isinstance(script, str) else script.reveal())
        if nonce is None:
            raise ConnectRefused  # what is not a look
        answer = [f"@{n}\n{b64encode(c).decode()}\n.\n" for n, c in ({"nonce": nonce[0]} | self.sections).items()]
        return Output("".join(answer).encode(), b"", 0, 0.1)

    def close(self) -> None:
        pass


class Dead(Wire):
    def run(self, script, **how) -> Output:
        raise ConnectRefused


def done(action: str, server, wire=Wire, **options) -> Job:
    job = launch(f"gateway.{action}", [server], by=None, options=options).jobs.get()
    return runner.run_here(job, wire)


def state_of(server):
    state = gateways.states([server])[server.pk]
    assert Server.objects.filter(gateways.in_state(state.word), pk=server.pk).exists()
    return state


def test_a_look_that_differs_is_drift_until_a_proof_or_a_removal(operator_client):
    server = GatewayFactory(working=True).server
    job = done("check", server)
    assert (job.status, job.cause) == ("failed", "drift")
    assert Gateway.objects.get(server=server).state == Gateway.State.DRIFTED
    assert state_of(server).word == "needs-you"
    assert state_of(server).detail.startswith("The server is no longer as it was installed.")
    text = operator_client.get(reverse("servers:services", args=[server.pk])).content.decode()
    assert "The server is no longer as it was installed" in text
    gateways.proved(server, Gateway.objects.get(server=server).wanted, 1, SEEN, share=0)
    assert state_of(server).word == "working"
    done("check", server)
    gateways.removed(server, SEEN, forget=False)
    assert (state_of(server).word, Gateway.objects.get(server=server).reason) == ("absent", "")


@pytest.mark.parametrize("wire", [Dead, Wire])
def test_a_first_installation_that_failed_needs_a_person_and_says_why(wire, operator_client):
    server = GatewayFactory().server
    job = done("install", server, wire)
    assert job.status == "failed", job.outcome
    assert (state_of(server).word, state_of(server).detail) == ("needs-you", job.outcome)
    text = operator_client.get(reverse("servers:services", args=[server.pk])).content.decode()
    assert "The email gateway is not installed." in text
    assert "The last attempt" in text


def test_a_first_installation_without_usable_values_needs_a_person_too():
    server = GatewayFactory(wanted=SmarthostFactory(username="", password=None, host="a b")).server
    job = done("install", server)
    assert (job.cause, state_of(server).word) == ("invalid", "needs-you")


def test_a_failed_reinstall_leaves_a_working_gateway_working():
    server = GatewayFactory(working=True).server
    assert done("reinstall", server, Dead).status == "failed"
    assert state_of(server).word == "working"


def test_a_dry_run_that_fails_changes_no_state():
    server = GatewayFactory(in_doubt=True).server
    assert done("install", server, Dead, dry_run=True).status == "failed"
    assert state_of(server).word == "unknown"


def test_a_cancelled_first_installation_is_simply_not_installed():
    server = GatewayFactory().server
    job = launch("gateway.install", [server], by=None).jobs.get()

    class Cancelling(Wire):
        def run(self, script, **how) -> Output:
            machine.ask_to_cancel(job, by=None)
            return super().run(script, **how)

    assert runner.run_here(job, Cancelling).status == "cancelled"
    assert state_of(server).word == "absent"


# ── test emails ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Mailing(Wire):
    """A server whose sendmail takes the mail and whose log shows how it ended."""

    status = "status=sent (250 2.0.0 Ok: queued as 4XyZ)"

    def run(self, script, **how) -> Output:
        log = "2026-11-21T12:00:00.000000+00:00 web postfix/smtp[42]: 4A1B2C3D4E: to=<a@example.com>, "
        relay = "relay=smtp.example.com[203.0.113.9]:587, delay=1.5, delays=0/0/1/0.5, dsn=2.0.0, "
        return Output(f"::id 4A1B2C3D4E\n{log}{relay}{self.status}\n".encode(), b"", 0, 0.1)


class Refusing(Mailing):
    status = "status=bounced (host smtp.example.com[203.0.113.9] said: 550 5.7.1 not allowed (in reply to RCPT))"


def sent(server, wire=Mailing) -> Job:
    mail = {"sender": "a@example.com", "subject": "s", "body": "b"}
    return done("test", server, wire, recipient="a@example.com", mail=mail)


def test_every_finished_test_leaves_one_row_with_its_provider():
    gateway = GatewayFactory(working=True)
    good, bad = sent(gateway.server), sent(gateway.server, Refusing)
    assert (good.status, bad.status) == ("succeeded", "failed")
    first, second = TestEmail.objects.order_by("pk")
    assert (first.job, first.smarthost, first.delivery, first.seconds) == (good, gateway.applied, "sent", 1.5)
    assert first.reply.startswith("250")
    assert (second.job, second.delivery, second.cause) == (bad, "bounced", bad.cause)


def test_a_server_that_could_not_be_reached_has_no_test_result():
    assert sent(GatewayFactory(working=True).server, Dead).status == "failed"
    assert not TestEmail.objects.exists()


def test_results_are_counted_by_day_provider_and_outcome_in_one_query(
    administrator, customer, django_assert_num_queries
):
    shared, own = SmarthostFactory(), OwnSmarthostFactory()
    server, today = own.server, timezone.now()
    server.people.add(customer)
    for smarthost, delivery, ago, count in (
        *((shared, "sent", 0, 2), (shared, "bounced", 0, 1), (shared, "sent", 1, 1)),
        *((own, "sent", 0, 1), (shared, "sent", 3, 5)),
    ):
        for _ in range(count):
            TestEmail.objects.create(
                server=server if smarthost == own else ServerFactory(),
                smarthost=smarthost,
                at=today - timedelta(days=ago),
                delivery=delivery,
            )
    with django_assert_num_queries(1):
        rows = TestEmail.objects.by_day(administrator, 3)
    day = timezone.localdate()
    counted = {(row["day"], row["smarthost"], row["delivery"]): row["count"] for row in rows}
    assert counted == {
        (day - timedelta(days=1), shared.pk, "sent"): 1,
        (day, None, "sent"): 1,
        (day, shared.pk, "sent"): 2,
        (day, shared.pk, "bounced"): 1,
    }
    mine = TestEmail.objects.by_day(customer, 3)
    assert mine == [{"day": day, "smarthost": None, "delivery": "sent", "count": 1}]


def test_the_matrix_of_a_batch_is_one_query(django_assert_num_queries):
    jobs = [JobFactory(action="gateway.test", mutating=False) for _ in range(3)]
    Job.objects.update(batch=jobs[0].batch)
    for job in jobs[:2]:
        gateways.tested(job.server, None, {"delivery": "sent", "reply": "250 Ok", "seconds": 0.5}, job=job)
    with django_assert_num_queries(1):
        rows = TestEmail.objects.in_batch(jobs[0].batch_id)
    assert {row["server"] for row in rows} == {job.server_id for job in jobs[:2]}
    assert set(rows[0]) == {"server", "job", "delivery", "reply", "cause", "seconds"}

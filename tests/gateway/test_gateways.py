"""What is wanted, what is in force, and what is said about it."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone

from gateway import gateways, smarthosts, values, wanted
from gateway.gateways import Seen
from gateway.models import Gateway, Tls
from gateway.values import Values
from servers.jobs import machine, sweeper
from servers.jobs.launch import Busy
from servers.jobs.models import Job
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
    gateways.proved(server, smarthost, smarthost.revision, SEEN)
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
    gateways.proved(gateway.server, gateway.wanted, 1, SEEN)
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
    relay = wanted.relay(row)
    assert (relay.host, relay.port, relay.tls, relay.verify) == ("smtp.example.com", 465, "implicit", False)
    assert (relay.username, relay.password) == ("me", Secret("pw"))
    assert (relay.helo_name, relay.root_address, relay.rewrite) == (
        "web.example.com",
        "admin@example.com",
        "@example.com",
    )


def test_a_token_for_both_fields_signs_in_with_both(administrator):
    row = smarthosts.create("p", Values(preset="postmark", password=Secret("token-1")), by=administrator)
    relay = wanted.relay(row)
    assert (relay.username, relay.password) == ("token-1", Secret("token-1"))


def test_a_provider_that_wants_from_to_be_the_login_rewrites_every_sender(administrator):
    new = Values(preset="m365", username="box@example.com", password=Secret("pw"), sending_domain="example.com")
    assert wanted.relay(smarthosts.create("m", new, by=administrator)).forced_sender == "box@example.com"


def test_a_relay_without_sign_in_has_no_password(administrator):
    relay = wanted.relay(smarthosts.create("g", Values(preset="godaddy-relay"), by=administrator))
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

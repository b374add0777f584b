"""The regular look: who is met and when, what it records, and that it never does more than look."""

import json
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from gateway import gateways, health, overrides
from gateway.models import Gateway
from servers.jobs import pauses
from servers.jobs.models import Job
from servers.models import HostKey, Server
from servers.remote.errors import ConnectRefused, HostKeyChanged
from servers.remote.host import Output
from tests.factories import GatewayFactory, HostKeyFactory, JobFactory, SmarthostFactory
from tests.gateway.test_commands import run
from tests.gateway.test_gateways import SEEN, Wire

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def wire(settings):
    """The wire every look meets; a test puts another one in its place by naming it here."""
    settings.JOB_WIRE = f"{__name__}.dial"
    Dialled.wire, Dialled.count = Wire, 0
    return Dialled


class Dialled:
    wire, count = Wire, 0


def dial(login):
    Dialled.count += 1
    return Dialled.wire(login)


class Dead(Wire):
    def __init__(self, login):
        raise ConnectRefused


class Noise(Wire):
    def run(self, script, **how) -> Output:
        return Output(b"Welcome\n", b"", 0, 0.1)


class Stranger(Wire):
    def __init__(self, login):
        raise HostKeyChanged


def installed(**more) -> Gateway:
    gateway = GatewayFactory(working=True, look_due_at=timezone.now() - timedelta(minutes=1), **more)
    HostKeyFactory(server=gateway.server, state=HostKey.State.PINNED)
    Server.objects.filter(pk=gateway.server_id).update(reach=Server.Reach.OK)
    gateway.refresh_from_db()
    return gateway


def looked(gateway: Gateway) -> Gateway:
    health.look(gateway)
    return Gateway.objects.select_related("server").get(pk=gateway.pk)


def test_drift_is_recorded_with_what_differs_and_nothing_is_changed():
    after = looked(installed())
    assert after.state == Gateway.State.DRIFTED
    assert after.problems[0]["text"] == "Postfix is no longer installed."
    assert after.seen_at and after.look_due_at > timezone.now()
    assert Job.objects.count() == 0


def test_one_miss_is_a_doubt_two_are_a_fact_and_one_answer_heals(wire):
    wire.wire = Dead
    once = looked(installed())
    assert (once.state, once.server.reach, once.server.misses) == (Gateway.State.WORKING, Server.Reach.OK, 1)
    assert (once.problems[0]["slug"], once.problems[0]["state"]) == ("reach", "unknown")
    assert once.look_due_at <= timezone.now() + health.SOON
    twice = looked(once)
    assert (twice.state, twice.server.reach, twice.server.misses) == (Gateway.State.UNKNOWN, Server.Reach.FAILED, 2)
    assert twice.server.missed_since == once.server.missed_since
    assert gateways.states([twice.server])[twice.server_id].detail.startswith("the server does not answer")
    wire.wire = Wire
    healed = looked(twice)
    assert (healed.server.reach, healed.server.misses, healed.server.missed_since) == (Server.Reach.OK, 0, None)
    assert healed.state == Gateway.State.DRIFTED


def test_a_garbled_answer_is_neither_a_miss_nor_drift(wire):
    wire.wire = Noise
    after = looked(installed())
    assert (after.state, after.server.misses, after.problems[0]["state"]) == (Gateway.State.WORKING, 0, "unknown")


def test_a_changed_host_key_blocks_the_server_and_no_look_follows(wire):
    wire.wire = Stranger
    after = looked(installed())
    assert after.server.reach == Server.Reach.KEY_CHANGED
    assert health.look(after).skipped and wire.count == 1


def test_nobody_is_met_during_a_pause_a_job_or_when_there_is_nothing_to_see(wire):
    gateway = installed()
    job = JobFactory(server=gateway.server, action="gateway.install", mutating=True, running=True)
    assert health.look(gateway).skipped
    job.delete()
    pauses.pause(by=None)
    gateway.refresh_from_db()
    assert health.look(gateway).skipped == "the panel is paused"
    pauses.resume(by=None)
    absent = GatewayFactory()
    HostKeyFactory(server=absent.server, state=HostKey.State.PINNED)
    assert health.look(absent).skipped
    assert wire.count == 0


def test_a_look_that_a_job_overtook_is_not_believed(wire):
    gateway = installed()

    class Overtaken(Wire):
        def run(self, script, **how):
            JobFactory(server=gateway.server, action="gateway.install", mutating=True, finished_at=timezone.now())
            return super().run(script, **how)

    wire.wire = Overtaken
    assert looked(gateway).state == Gateway.State.WORKING


def test_a_look_that_a_changed_preset_overtook_is_not_believed(wire):
    gateway = installed(wanted=SmarthostFactory(preset="m365"))

    class Overtaken(Wire):
        def run(self, script, **how):
            overrides.change("m365", {"limits.per_minute": 20}, by=None)
            return super().run(script, **how)

    wire.wire = Overtaken
    assert looked(gateway).state == Gateway.State.WORKING
    wire.wire = Wire
    assert looked(Gateway.objects.get()).state == Gateway.State.DRIFTED


def test_two_workers_never_look_at_the_same_server(wire):
    gateway = installed()
    same = Gateway.objects.get(pk=gateway.pk)
    assert health.look(gateway).answered
    assert health.look(same).skipped
    assert wire.count == 1


def test_new_gateways_are_spread_over_the_interval(settings):
    settings.HEALTH_MINUTES = 30
    GatewayFactory.create_batch(12, working=True)
    health._spread(now := timezone.now())
    due = sorted(Gateway.objects.values_list("look_due_at", flat=True))
    assert now <= due[0] and due[-1] < now + timedelta(minutes=30)
    assert len(set(due)) > 6


@pytest.mark.django_db(transaction=True)
def test_a_sweep_meets_who_is_due_and_the_dead_cost_the_others_nothing(settings, wire):
    for number in range(5):
        installed(wanted=SmarthostFactory(name=f"p{number}"))
    later = installed(wanted=SmarthostFactory(name="later"))
    Gateway.objects.filter(pk=later.pk).update(look_due_at=timezone.now() + timedelta(minutes=9))
    assert health.sweep() == 5
    assert Gateway.objects.filter(seen_at__isnull=False).count() == 5
    assert health.sweep() == 0
    Gateway.objects.update(look_due_at=timezone.now())
    settings.HEALTH_MINUTES = 0
    assert health.sweep() == 0


def test_the_drift_page_names_the_difference_and_leads_to_both_ways(operator_client, viewer_client):
    gateway = looked(installed())
    address = reverse("gateway:drift", args=[gateway.server_id])
    text = operator_client.get(address).content.decode()
    reapply = reverse("gateway:reapply", args=[gateway.server_id])
    assert "Postfix is no longer installed." in text and reapply in text
    assert reapply not in viewer_client.get(address).content.decode()
    assert address in operator_client.get(reverse("servers:services", args=[gateway.server_id])).content.decode()


def test_values_of_a_shared_provider_stay_with_administrators(operator_client, administrator_client):
    gateway = looked(installed())
    Gateway.objects.update(diffs={"/etc/postfix/main.cf": "+relayhost = [canary.example]:587\n"})
    address = reverse("gateway:drift", args=[gateway.server_id])
    assert "canary.example" in administrator_client.get(address).content.decode()
    assert "canary.example" not in operator_client.get(address).content.decode()


def test_a_proof_ends_what_an_earlier_look_found():
    gateway = looked(installed())
    gateways.proved(gateway.server, gateway.wanted, 1, SEEN, share=0)
    gateway.refresh_from_db()
    assert (gateway.state, gateway.problems, gateway.diffs) == (Gateway.State.WORKING, [], {})


def test_reapply_is_a_reinstall_for_those_who_may(operator_client, viewer_client):
    gateway = looked(installed())
    address = reverse("gateway:reapply", args=[gateway.server_id])
    assert viewer_client.post(address).status_code in (403, 404)
    operator_client.post(address)
    assert Job.objects.get().action == "gateway.reinstall"


@pytest.mark.django_db(transaction=True)
def test_the_command_looks_now_or_tells_what_the_last_look_found(wire):
    gateway = installed()
    name = gateway.server.name
    code, printed = run("gateway", "health", name, "--stored")
    assert (code, "never seen" in printed, wire.count) == (0, True, 0)
    code, printed = run("gateway", "health", name, "--json")
    (row,) = json.loads(printed)["servers"]
    assert (code, row["state"], row["problems"][0]["slug"], row["skipped"]) == (1, "needs-you", "postfix", "")
    pauses.pause(by=None)
    assert "not looked at now: the panel is paused" in run("gateway", "health", "--all")[1]


def test_a_refused_sign_in_leads_to_the_catalogues_fix_and_not_to_a_reinstall(operator_client):
    refusal = {"slug": "sign-in", "state": "fail", "text": "It refuses.", "hint": "Enter both again.", "tries": "2"}
    gateway = GatewayFactory(working=True, state=Gateway.State.BROKEN, reason="It refuses.", problems=[refusal])
    text = operator_client.get(reverse("servers:services", args=[gateway.server_id])).content.decode()
    assert "Enter both again." in text and "A reinstall puts it right." not in text


def test_the_services_tab_says_when_the_account_was_tried_and_how_long_its_certificate_lasts(operator_client):
    until = timezone.now() + timedelta(days=60)
    tried = {"signed_in_at": timezone.now() - timedelta(hours=3), "certificate_until": until}
    gateway = GatewayFactory(working=True, **tried)
    text = operator_client.get(reverse("servers:services", args=[gateway.server_id])).content.decode()
    assert "account tried <time" in text and "3 h ago" in text
    assert f"the provider's certificate is valid until {timezone.localtime(until):%-d %b %Y}" in text

"""A shared password is replaced once, brought to everybody who uses it, and can be put back."""

import base64
import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from controlpanel.access.models import AuditEntry
from gateway import gateways, rotation, smarthosts, values
from gateway.gateways import Seen
from gateway.models import Gateway, Smarthost
from servers.jobs import runner
from servers.jobs.models import Job
from servers.jobs.rollout import Policy
from servers.models import Server
from servers.remote.errors import ConnectRefused
from servers.remote.secret import Secret
from tests.factories import GatewayFactory, JobFactory, ServerFactory, SmarthostFactory

pytestmark = pytest.mark.django_db
SEEN = Seen(generation="abc", queued=0, os_name="Debian", postfix="3.7.11", log_source="journal")
OLD, NEW, THIRD = Secret("canary-old"), Secret("canary-new"), Secret("canary-third")


@pytest.fixture
def provider():
    return SmarthostFactory(name="main", password=OLD, username="relay")


def fleet(provider, count: int = 3) -> list[Server]:
    return [GatewayFactory(wanted=provider, working=True).server for _ in range(count)]


def change(provider, by, **changed) -> Smarthost:
    provider.refresh_from_db()
    return smarthosts.change(provider, provider.name, replace(values.of(provider), **changed), by=by)[0]


def reinstalled(server, provider) -> None:
    """What a reinstall that succeeded records."""
    row = Smarthost.objects.get(pk=provider.pk)
    gateways.proved(server, row, row.revision, SEEN, share=0)


def earlier(provider) -> int:
    return rotation.use(Smarthost.objects.get(pk=provider.pk)).earlier


# ── what is kept of the earlier password ─────────────────────────────────────────────────────────────────────────────


def test_a_replaced_password_is_kept_sealed(provider, administrator):
    row = change(provider, administrator, password=NEW)
    row.refresh_from_db()
    assert (row.password, row.previous_password, row.previous_username) == (NEW, OLD, "relay")
    assert (row.revision, row.password_revision, row.previous_revision, row.previous_password_revision) == (2, 2, 1, 1)
    assert row.rotated_at
    assert b"canary" not in bytes(row.__dict__["previous_password"])


def test_the_same_password_typed_again_changes_nothing(provider, administrator):
    change(provider, administrator, password=NEW)
    row = change(provider, administrator, password=NEW)
    assert (row.revision, row.previous_password) == (2, OLD)


def test_a_user_name_replaced_with_its_password_is_kept_with_it(provider, administrator):
    row = change(provider, administrator, username="relay-2", password=NEW)
    assert (row.previous_username, row.previous_password, row.previous_revision) == ("relay", OLD, 1)
    rotation.roll_back(row, by=administrator)
    row.refresh_from_db()
    assert (row.username, row.password) == ("relay", OLD)
    assert (row.previous_username, row.previous_password) == ("relay-2", NEW)


@pytest.mark.parametrize(
    "changed",
    [
        {"host": "evil.example.net"},
        {"port": 2525},
        {"username": "somebody"},
        {"tls": "none"},
        {"verify_certificate": False},
        {"host": "evil.example.net", "password": THIRD},
        {"port": 2525, "password": THIRD},
        {"verify_certificate": False, "password": THIRD},
    ],
)
def test_the_earlier_password_is_forgotten_with_its_endpoint(changed, administrator):
    provider = SmarthostFactory(port=587 if changed.get("port") else 26, password=OLD, username="relay")
    change(provider, administrator, password=NEW)
    row = change(provider, administrator, **changed)
    row.refresh_from_db()
    assert not row.keeps_previous
    assert (row.previous_username, row.previous_revision, row.previous_password_revision) == ("", None, None)
    with pytest.raises(rotation.NothingKept):
        rotation.roll_back(row, by=administrator)


def test_rotate_keys_reseals_the_earlier_password_too(provider, administrator, settings):
    row, (known,) = change(provider, administrator, password=NEW), settings.VAULT_KEYS[:1]
    newer = ("newer", base64.urlsafe_b64encode(bytes(range(32))).decode())
    settings.VAULT_KEYS = [newer, known]
    call_command("rotate_keys", stdout=io.StringIO())
    settings.VAULT_KEYS = [newer]
    row.refresh_from_db()
    assert (row.password, row.previous_password) == (NEW, OLD)


# ── who is still on it ───────────────────────────────────────────────────────────────────────────────────────────────


def test_servers_on_the_earlier_password_are_counted_until_none_is_left(provider, administrator):
    first, *others = fleet(provider)
    GatewayFactory(wanted=provider)  # chosen, never installed: it gets the new one with its installation
    change(provider, administrator, password=NEW)
    found = rotation.use(Smarthost.objects.get(pk=provider.pk))
    assert (found.installed, found.waiting, found.behind, found.earlier) == (3, 1, 3, 3)
    reinstalled(first, provider)
    assert earlier(provider) == 2
    for server in others:
        reinstalled(server, provider)
    assert earlier(provider) == 0


def test_another_changed_value_is_no_other_password(provider, administrator):
    fleet(provider)
    row = change(provider, administrator, sending_domain="other.example")
    found = rotation.use(row)
    assert (found.behind, found.earlier) == (3, 0)


def test_a_look_that_finds_older_values_does_not_count_as_the_new_password(provider, administrator):
    (server,) = fleet(provider, 1)
    row = change(provider, administrator, password=NEW)
    gateways.proved(server, row, 1, SEEN, share=0)
    assert earlier(provider) == 1


def test_how_far_a_provider_has_come_is_one_query(provider, django_assert_num_queries):
    fleet(provider, 5)
    with django_assert_num_queries(1):
        assert rotation.use(provider).installed == 5


# ── roll out ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_roll_out_reaches_all_that_are_behind_in_one_batch(provider, administrator):
    servers = fleet(provider)
    fleet(SmarthostFactory(), 2)
    leaving = GatewayFactory(wanted=provider, working=True)
    Gateway.objects.filter(pk=leaving.pk).update(wanted=SmarthostFactory())
    row = change(provider, administrator, password=NEW)
    batch = rotation.roll_out(row, by=administrator, policy=Policy(canary=1))
    assert (batch.action, batch.canary) == ("gateway.reinstall", 1)
    assert {job.server for job in batch.jobs.all()} == set(servers)


def test_the_canary_is_reachable_working_and_lately_verified(provider, administrator):
    now = timezone.now()
    dull = GatewayFactory(wanted=provider, working=True, verified_at=now - timedelta(days=9))
    sick = GatewayFactory(wanted=provider, working=True, verified_at=now + timedelta(hours=1))
    best = GatewayFactory(wanted=provider, working=True, verified_at=now)
    broken = GatewayFactory(wanted=provider, working=True, verified_at=now + timedelta(hours=2))
    Gateway.objects.filter(pk=broken.pk).update(state="broken")
    Server.objects.exclude(pk=sick.pk).update(reach="ok")
    Server.objects.filter(pk=sick.pk).update(reach="failed")
    row = change(provider, administrator, password=NEW)
    assert [server.pk for server in rotation.canaries(rotation.sorted_out(row).going)][:2] == [best.pk, dull.pk]
    batch = rotation.roll_out(row, by=administrator, policy=Policy(canary=1))
    assert [job.server_id for job in batch.jobs.filter(wave=0)] == [best.pk]
    Job.objects.all().delete()
    batch = rotation.roll_out(row, by=administrator, policy=Policy(canary=1), first=dull.pk)
    assert [job.server_id for job in batch.jobs.filter(wave=0)] == [dull.pk]


def test_until_the_canary_has_succeeded_nobody_else_may_begin(provider, administrator):
    fleet(provider, 4)
    row = change(provider, administrator, password=NEW)
    batch = rotation.roll_out(row, by=administrator, policy=Policy(canary=1))
    assert batch.jobs.filter(released_at__isnull=False).count() == 1


class Dead:
    """A server nobody answers at."""

    def __init__(self, login):
        raise ConnectRefused


def test_when_the_canary_fails_nobody_else_is_touched(provider, administrator):
    fleet(provider, 4)
    row = change(provider, administrator, password=NEW)
    batch = rotation.roll_out(row, by=administrator)
    runner.run_here(batch.jobs.get(released_at__isnull=False), Dead)
    assert batch.jobs.counts() == {"failed": 1, "cancelled": 3}
    assert not batch.jobs.exclude(status="failed").filter(started_at__isnull=False).exists()
    assert earlier(provider) == 4
    assert {state.word for state in gateways.states(Server.objects.all()).values()} == {"working"}
    assert rotation.roll_back(row, by=administrator) is None
    assert (earlier(provider), Gateway.objects.filter(applied_revision=3).count()) == (0, 4)


def test_busy_and_blocked_servers_are_left_out_with_their_reason(provider, administrator):
    busy, blocked, fine = fleet(provider)
    JobFactory(server=busy, action="gateway.reinstall")
    Server.objects.filter(pk=blocked.pk).update(reach="key-changed")
    row = change(provider, administrator, password=NEW)
    left = {name: out.reason for out in rotation.sorted_out(row).left_out for name in out.names}
    assert set(left) == {busy.name, blocked.name}
    assert "host key" in left[blocked.name]
    batch = rotation.roll_out(row, by=administrator)
    assert [job.server for job in batch.jobs.all()] == [fine]


def test_servers_the_last_check_could_not_reach_are_tried_when_asked(provider, administrator):
    (away,) = fleet(provider, 1)
    Server.objects.filter(pk=away.pk).update(reach="failed")
    row = change(provider, administrator, password=NEW)
    with pytest.raises(rotation.NothingBehind):
        rotation.roll_out(row, by=administrator)
    assert rotation.roll_out(row, by=administrator, try_all=True).jobs.get().server == away


def test_with_nobody_behind_there_is_nothing_to_roll_out(provider, administrator):
    fleet(provider)
    with pytest.raises(rotation.NothingBehind):
        rotation.roll_out(provider, by=administrator)
    assert not Job.objects.exists()


# ── roll back ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_roll_back_reaches_only_those_that_had_taken_the_new_one(provider, administrator):
    first, second, third = fleet(provider)
    row = change(provider, administrator, password=NEW)
    reinstalled(first, provider)
    batch = rotation.roll_back(row, by=administrator)
    assert [job.server for job in batch.jobs.all()] == [first]
    row.refresh_from_db()
    assert (row.password, row.previous_password, row.revision) == (OLD, NEW, 3)
    assert not any(Gateway.objects.get(server=server).pending for server in (second, third))
    assert Gateway.objects.get(server=first).pending
    assert earlier(provider) == 1  # the first, until its reinstall
    reinstalled(first, provider)
    assert earlier(provider) == 0


def test_a_server_built_from_other_values_is_not_marked_up_to_date(provider, administrator):
    server, fresh = fleet(provider, 2)
    change(provider, administrator, password=NEW)
    reinstalled(fresh, provider)
    row = change(provider, administrator, sending_domain="other.example")
    rotation.roll_back(row, by=administrator)
    gateway = Gateway.objects.get(server=server)
    assert (gateway.pending, gateway.applied_revision) == (True, 1)
    assert earlier(provider) == 1  # `fresh`; the other one is on the password put back, with an older sending domain


def test_a_change_of_other_values_together_with_the_password_is_noticed(provider, administrator):
    (server,) = fleet(provider, 1)
    row = change(provider, administrator, password=NEW, helo_name="mail.example.com")
    rotation.roll_back(row, by=administrator)
    assert Gateway.objects.get(server=server).pending


def test_a_server_in_doubt_is_looked_after_not_marked(provider, administrator):
    doubtful, calm = fleet(provider, 2)
    row = change(provider, administrator, password=NEW)
    gateways.begin(doubtful)
    batch = rotation.roll_back(row, by=administrator)
    assert [job.server for job in batch.jobs.all()] == [doubtful]
    assert Gateway.objects.get(server=doubtful).pending
    assert not Gateway.objects.get(server=calm).pending


def test_a_roll_back_of_a_roll_back_is_the_new_password_again(provider, administrator):
    first, second = fleet(provider, 2)
    row = change(provider, administrator, password=NEW)
    reinstalled(first, provider)
    rotation.roll_back(row, by=administrator)
    Job.objects.all().delete()
    batch = rotation.roll_back(row, by=administrator)
    row.refresh_from_db()
    assert (row.password, row.previous_password) == (NEW, OLD)
    assert not Gateway.objects.get(server=first).pending
    assert [job.server for job in batch.jobs.all()] == [second]


def test_servers_two_passwords_behind_stay_counted(provider, administrator):
    ancient, middle, latest = fleet(provider)
    change(provider, administrator, password=NEW)
    for server in (middle, latest):
        reinstalled(server, provider)
    row = change(provider, administrator, password=THIRD)
    reinstalled(latest, provider)
    assert earlier(provider) == 2
    batch = rotation.roll_back(row, by=administrator)
    assert [job.server for job in batch.jobs.all()] == [latest]
    assert [Gateway.objects.get(server=s).pending for s in (ancient, middle, latest)] == [True, False, True]
    assert earlier(provider) == 2  # the ancient one and, until its reinstall, the latest


def test_the_password_is_put_back_even_while_every_server_is_busy(provider, administrator):
    (server,) = fleet(provider, 1)
    row = change(provider, administrator, password=NEW)
    reinstalled(server, provider)
    JobFactory(server=server, action="gateway.reinstall")
    assert rotation.roll_back(row, by=administrator) is None
    row.refresh_from_db()
    assert row.password == OLD
    assert earlier(provider) == 1


# ── forgetting ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_earlier_password_is_forgotten_when_nobody_runs_on_it_and_a_week_has_passed(
    provider, administrator, time_machine
):
    (server,) = fleet(provider, 1)
    row = change(provider, administrator, password=NEW)
    time_machine.move_to(timezone.now() + rotation.KEPT + timedelta(minutes=1))
    assert rotation.forget_unused() == 0  # the server still runs on it
    reinstalled(server, provider)
    assert rotation.forget_unused() == 1
    row.refresh_from_db()
    assert (row.keeps_previous, row.previous_username) == (False, "")
    assert row.password == NEW


def test_a_week_is_waited_even_when_nobody_runs_on_it(provider, administrator):
    change(provider, administrator, password=NEW)
    assert rotation.forget_unused() == 0


def test_forgetting_by_hand_leaves_the_present_password(provider, administrator):
    row = change(provider, administrator, password=NEW)
    rotation.forget(row, by=administrator)
    row.refresh_from_db()
    assert (row.password, row.keeps_previous) == (NEW, False)
    with pytest.raises(rotation.NothingKept):
        rotation.forget(row, by=administrator)


def test_the_audit_log_tells_each_step_and_no_secret(provider, administrator):
    fleet(provider)
    row = change(provider, administrator, password=NEW, username="relay-2")
    rotation.roll_back(row, by=administrator)
    rotation.forget(row, by=administrator)
    entries = AuditEntry.objects.filter(subject_kind="SMTP provider").order_by("id")
    assert [entry.verb for entry in entries] == [
        "changed",
        "put back the password of",
        "forgot the earlier password of",
    ]
    assert entries[1].detail["changed"] == {"username": ["relay-2", "relay"]}
    assert "canary" not in json.dumps([entry.detail for entry in AuditEntry.objects.all()])


def test_deleted_servers_leave_no_count(provider, administrator):
    servers = fleet(provider)
    ServerFactory()
    servers[0].delete()
    Server.objects.filter(pk=servers[1].pk).update(archived_at=timezone.now())
    found = rotation.use(provider)
    assert (found.installed, found.archived) == (1, 1)

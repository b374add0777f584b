"""What looks find around gateways becomes alerts, one a cause, raised and recovered on change only."""

import pytest

from gateway import alarms, drift, symptoms
from servers.alerts.models import Alert, Trouble
from tests import factories

NOT_VALID = "The certificate of Main is not valid"
pytestmark = pytest.mark.django_db


def finding(slug, state="warn", text="One email waits, the oldest for 3 hours."):
    return drift.finding(slug, state, text, "Do this.")


def on(account, count=1):
    rows = [factories.GatewayFactory(applied=account, wanted=account) for _ in range(count)]
    return [row.server for row in rows]


def opened() -> dict:
    return {alert.text: alert.troubles.open().count() for alert in Alert.objects.open()}


def test_mail_that_waits_at_one_provider_is_one_alert_whatever_the_numbers():
    servers = on(factories.SmarthostFactory(name="Main"), 3) + on(factories.SmarthostFactory(name="Other"))
    for number, server in enumerate(servers):
        alarms.around(server, [finding("queue", text=f"{number} emails wait, the oldest for {number} hours.")])
    assert opened() == {"Mail that goes through Main waits": 3, "Mail that goes through Other waits": 1}
    assert set(Alert.objects.values_list("provider", flat=True)) == {"Main", "Other"}


def test_servers_with_own_values_of_the_same_host_are_one_alert():
    for server in factories.ServerFactory.create_batch(2):
        row = factories.SmarthostFactory(name=f"of {server}", server=server, host="smtp.example.com")
        factories.GatewayFactory(server=server, applied=row, wanted=row)
        alarms.around(server, [finding("sign-in", "fail")])
    assert opened() == {"smtp.example.com rejects the sign-in": 2}
    assert Alert.objects.get().provider == ""


def test_clock_and_disk_are_grouped_by_kind():
    for server in on(factories.SmarthostFactory(name="Main")) + on(factories.SmarthostFactory(name="Other")):
        alarms.around(server, [finding("clock"), finding("disk")])
    assert opened() == {"The clock is wrong": 2, "There is little room for the mail queue": 2}


def test_the_same_findings_again_leave_no_trace_and_their_end_recovers():
    (server,) = on(factories.SmarthostFactory(name="Main"))
    for text in ("2 emails wait.", "7 emails wait."):
        alarms.around(server, [finding("queue", text=text), finding("clock", text=text)])
    assert Trouble.objects.count() == 2
    alarms.around(server, [finding("clock")])
    assert opened() == {"The clock is wrong": 1}
    alarms.gone(server)
    assert not Alert.objects.open().exists()


@pytest.mark.parametrize(
    ("reason", "slug", "text"),
    [
        ("SASL authentication failed; server x said: 535 5.7.8 Error", "sign-in", "Main rejects the sign-in"),
        ("certificate verification failed for x[192.0.2.1]: certificate has expired", "certificate", NOT_VALID),
    ],
)
def test_why_mail_waits_is_the_same_alert_as_what_the_look_that_signs_in_sees(reason, slug, text):
    one, two = on(factories.SmarthostFactory(name="Main"), 2)
    waits = drift.held_up(drift.blamed([reason]))
    alarms.around(one, [waits])
    alarms.around(two, [waits, finding(slug, "fail")])
    assert opened() == {text: 2}
    alarms.around(one, [])
    alarms.around(two, [finding("queue")])
    assert opened() == {"Mail that goes through Main waits": 1}


def test_mail_that_still_waits_is_not_told_as_recovered_when_its_cause_becomes_another():
    (server,) = on(factories.SmarthostFactory(name="Main"))
    alarms.around(server, [finding("queue")])
    alarms.around(server, [finding("queue") | {"area": "credentials", "cause": "Wrong."}])
    assert opened() == {"Mail that goes through Main waits": 1, "Main rejects the sign-in": 1}


def test_unknown_changes_nothing():
    (server,) = on(factories.SmarthostFactory(name="Main"))
    alarms.around(server, [finding("sign-in", "unknown")])
    assert not Alert.objects.exists()
    alarms.around(server, [finding("sign-in", "fail")])
    alarms.around(server, [finding("sign-in", "unknown")])
    assert opened() == {"Main rejects the sign-in": 1}


@pytest.mark.parametrize(
    ("states", "kinds"),
    [
        (["warn"], {"disk-low"}),
        (["warn", "fail"], {"disk-low", "disk-full"}),  # the warning still holds: nobody is told that it is over
        (["fail"], {"disk-full"}),
        (["warn", "fail", "warn"], {"disk-low"}),
        (["fail", None], set()),
    ],
)
def test_a_warning_that_gets_worse_stays_open_and_a_failure_that_eases_is_over(states, kinds):
    (server,) = on(factories.SmarthostFactory(name="Main"))
    for state in states:
        alarms.around(server, [finding("disk", state)] if state else [])
    assert set(Alert.objects.open().values_list("kind", flat=True)) == kinds


def test_a_look_that_finds_nothing_costs_one_reading(django_assert_num_queries):
    (server,) = on(factories.SmarthostFactory(name="Main"))
    with django_assert_num_queries(1):
        alarms.around(server, [])


def test_findings_about_the_settings_are_told_elsewhere():
    raised, _ = symptoms.found([finding("settings", "fail"), finding("reach", "fail")], symptoms.Upstream("x"))
    assert raised == []

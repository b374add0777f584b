"""The pages: what is open, who is told, and who may read what."""

import threading
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from controlpanel.access.models import AuditEntry
from gateway import alarms, gateways
from servers.alerts import raising, routes, tasks
from servers.alerts.models import Alert, Delivery, Limits, Route
from servers.jobs import watch
from servers.jobs.models import Worker
from tests import factories

pytestmark = pytest.mark.django_db
LIST = "/alerts/"
QUIET = {"quiet_from": "", "quiet_until": "", "zone": "UTC", "severity": "1", "active": "on"}


def fail(server, provider="Acme"):
    raising.raise_alert(
        "gateway-failing",
        server.pk,
        server=server,
        cause="auth",
        text=f"{provider} refuses the password.",
        hint="Type it anew.",
        provider=provider,
    )


def test_open_alerts_say_what_since_when_how_many_and_what_to_do(administrator_client):
    for server in factories.ServerFactory.create_batch(3):
        fail(server)
    page = administrator_client.get(LIST).content.decode()
    assert "Acme refuses the password: 3 servers" in page and "Type it anew." in page
    assert "told to nobody" in page
    inside = administrator_client.get(f"{LIST}{Alert.objects.get().pk}/").content.decode()
    assert all(server in inside for server in Alert.objects.get().troubles.values_list("server__name", flat=True))


def test_serious_alerts_come_first_on_the_page_and_the_command_line(administrator_client, capsys):
    server = factories.ServerFactory()
    fail(server)
    raising.raise_alert("clock-off", server.pk, server=server, cause="here", text="The clock is wrong")
    raising.raise_alert("no-worker", "panel", text="No worker is present")
    with pytest.raises(SystemExit):
        call_command("alerts", "list")
    for text in (administrator_client.get(LIST).content.decode(), capsys.readouterr().out):
        assert text.index("No worker is present") < text.index("Acme refuses") < text.index("The clock is wrong")


def test_the_list_costs_the_same_for_many(administrator_client, django_assert_max_num_queries):
    for number in range(30):
        fail(factories.ServerFactory(), provider=f"Provider {number}")
    with django_assert_max_num_queries(14):
        administrator_client.get(LIST)


def test_a_customer_sees_the_alerts_of_own_servers_and_no_providers_name(customer_client):
    mine, other = factories.ServerFactory.create_batch(2)
    mine.people.add(customer_client.user)
    fail(mine)
    fail(other)
    fail(factories.ServerFactory(), provider="Other")
    raising.raise_alert("no-worker", "panel", text="No worker is present")
    page = customer_client.get(LIST).content.decode()
    assert "the SMTP provider refuses the password: " + mine.name in page
    assert not any(word in page for word in ("Acme", "Other", other.name, "No worker is present"))
    inside = customer_client.get(f"{LIST}{Alert.objects.get(provider='Acme').pk}/").content.decode()
    assert mine.name in inside and other.name not in inside and "Acme" not in inside
    assert customer_client.get(f"{LIST}{Alert.objects.get(provider='Other').pk}/").status_code == 404


def test_closing_is_noted(administrator_client):
    fail(factories.ServerFactory())
    alert = Alert.objects.get()
    administrator_client.post(f"{LIST}{alert.pk}/close/")
    assert not Alert.objects.open().exists()
    assert AuditEntry.objects.filter(verb="closed", subject_kind="alert").count() == 1
    assert "refuses the password" in administrator_client.get(f"{LIST}?part=past").content.decode()


def test_an_email_route_is_added_with_a_warning_about_mail_that_depends_on_mail(administrator_client):
    account = factories.SmarthostFactory()
    typed = QUIET | {"name": "Ops", "recipients": "a@example.com, b@example.com", "sender": "c@example.com"}
    answer = administrator_client.post("/settings/alerts/add/email/", typed | {"provider": account.pk}, follow=True)
    assert routes.ONLY_MAIL in answer.content.decode()
    route = Route.objects.get()
    assert (route.recipients.split(), route.provider) == (["a@example.com", "b@example.com"], account.pk)
    other = factories.SmarthostFactory()
    typed |= {"provider": account.pk, "fallback": other.pk}
    answer = administrator_client.post(f"/settings/alerts/{route.pk}/", typed, follow=True)
    assert routes.ONLY_MAIL not in answer.content.decode()
    assert Route.objects.get().fallback == other.pk


@pytest.mark.parametrize(
    ("way", "changes", "complaint"),
    [
        ("webhook", {"address": "http://example.com/"}, "Without https"),
        ("webhook", {"address": "ftp://example.com/"}, "looks like"),
        ("webhook", {"address": "https://user:secret@example.com/"}, "No user name"),
        ("webhook", {"new_secret": "short"}, "at least 16"),
        ("webhook", {"zone": "Mars/Olympus"}, "no time zone"),
        ("webhook", {"quiet_from": "22:00"}, "a beginning and an end"),
        ("chat", {"new_target": "json://169.254.169.254/x"}, "not the address of a chat service"),
        ("chat", {"new_target": "file:///etc/passwd"}, "not the address of a chat service"),
        ("chat", {"new_target": "mmosts://mm.example.com/token?verify=no"}, "must not switch"),
        ("chat", {"new_target": "slack://incomplete"}, "incomplete"),
        ("email", {"recipients": "nobody"}, "valid email"),
    ],
)
def test_a_form_says_what_is_wrong(administrator_client, way, changes, complaint):
    typed = QUIET | {"name": "X", "address": "https://example.com/", "new_secret": "x" * 16, "sender": "a@example.com"}
    answer = administrator_client.post(f"/settings/alerts/add/{way}/", typed | changes)
    assert answer.status_code == 422
    assert complaint in answer.content.decode().replace("&#x27;", "'")
    assert not Route.objects.exists()


def test_secrets_are_write_only(administrator_client):
    typed = QUIET | {"name": "Hook", "address": "https://example.com/", "new_secret": "a very long secret"}
    administrator_client.post("/settings/alerts/add/webhook/", typed)
    chat = QUIET | {"name": "Chat", "new_target": "tgram://123456789:abcdefghijklmnop/12315544"}
    administrator_client.post("/settings/alerts/add/chat/", chat)
    for route in Route.objects.all():
        page = administrator_client.get(f"/settings/alerts/{route.pk}/").content.decode()
        assert "a very long secret" not in page and "abcdefghijklmnop" not in page
    hook = Route.objects.get(name="Hook")
    administrator_client.post(f"/settings/alerts/{hook.pk}/", typed | {"new_secret": "", "name": "Hook 2"})
    hook.refresh_from_db()
    assert (hook.name, hook.secret.reveal()) == ("Hook 2", b"a very long secret")
    assert not AuditEntry.objects.filter(detail__icontains="secret").exists()


def test_the_test_button_waits_for_no_broker(administrator_client, monkeypatch):
    asked, go = threading.Event(), threading.Event()

    def silent(*_, **__):
        asked.set()
        go.wait(30)
        raise OSError("the broker hung up")

    monkeypatch.setattr(tasks.deliver, "apply_async", silent)
    answer = administrator_client.post(f"/settings/alerts/{factories.RouteFactory().pk}/test/")
    assert asked.wait(30) and not go.is_set() and answer.status_code == 302
    go.set()


def test_the_test_button_asks_a_worker_and_the_page_waits_for_the_answer(administrator_client):
    route = factories.RouteFactory()
    edit = f"/settings/alerts/{route.pk}/"
    for _ in range(2):  # impatient clicks make one test
        page = administrator_client.post(f"{edit}test/", follow=True).content.decode()
        assert "Sending test alert" in page and "every 1s" in page
    delivery = Delivery.objects.get()
    tasks.deliver(delivery.pk)
    tasks.deliver(delivery.pk)
    page = administrator_client.get(edit).content.decode()
    assert "did not take the test alert" in page and "inside this network" in page and "every 1s" not in page
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("failed", 1)
    Delivery.objects.update(at=timezone.now() - timedelta(hours=1))
    assert "did not take the test alert" not in administrator_client.get(edit).content.decode()


def test_a_test_alert_no_worker_was_told_of_is_sent_in_its_turn(administrator_client):
    route = factories.RouteFactory(active=False)
    administrator_client.post(f"/settings/alerts/{route.pk}/test/")
    tasks.tell()
    assert Delivery.objects.get().state == "failed"


def test_the_limits_are_kept(administrator_client):
    administrator_client.post(reverse("alert-routes:list"), {"failed_tests": 2, "worker_minutes": 9})
    assert (Limits.current().failed_tests, Limits.current().worker_minutes) == (2, 9)


def test_a_gateway_that_breaks_and_works_again():
    account = factories.SmarthostFactory(name="Main")
    servers = factories.ServerFactory.create_batch(2)
    for server in servers:
        factories.GatewayFactory(server=server, applied=account, wanted=account)
        gateways.broken(server, "535 5.7.8 Error: authentication failed")
    alert = Alert.objects.open().get()
    assert alert.provider == "Main" and alert.text.startswith("Main: ") and alert.troubles.open().count() == 2
    gateways.drifted(servers[0], "main.cf was changed")
    assert set(Alert.objects.open().values_list("kind", flat=True)) == {"gateway-failing", "gateway-drifted"}
    for server in servers:
        alarms.fine(server)
    assert not Alert.objects.open().exists()


def test_no_worker_for_minutes_is_told_by_the_scheduler():
    now = timezone.now()
    watch.look(now, now)
    assert not Alert.objects.exists()
    watch.look(now + timedelta(minutes=6), now)
    assert Alert.objects.open().get().kind == "no-worker"
    Worker.objects.create(name="w", seen_at=now + timedelta(minutes=7))
    watch.look(now + timedelta(minutes=7), now)
    assert not Alert.objects.open().exists()


def test_the_command_line(capsys):
    call_command("alerts", "list")
    fail(factories.ServerFactory(name="web-1"))
    with pytest.raises(SystemExit):
        call_command("alerts", "list", "--json")
    assert "Acme refuses the password: web-1" in capsys.readouterr().out
    with pytest.raises(CommandError, match="There are: none yet"):
        call_command("alerts", "test", "Nothing")
    factories.RouteFactory(name="Hook")
    with pytest.raises(CommandError, match="inside this network"):
        call_command("alerts", "test", "Hook")


def test_the_front_page_leads_to_the_open_alerts(administrator_client):
    server = factories.ServerFactory()
    assert "open alert" not in administrator_client.get("/").content.decode()
    alarms.unreachable(server, "connect-timeout", f"{server.address} did not answer.", "Look at its firewall.")
    assert "1 open alert<" in administrator_client.get("/").content.decode()
    alarms.reached(server)
    assert "open alert" not in administrator_client.get("/").content.decode()

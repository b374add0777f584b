"""Finding the settings of an address: what DNS says, and what it does not say."""

import dns.exception
import dns.message
import dns.rdata
import dns.resolver
import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.urls import reverse

from gateway import guessing, overrides
from tests.factories import ServerFactory

pytestmark = pytest.mark.django_db


class Answers:
    """A resolver that answers from memory; nothing leaves the machine."""

    def __init__(self, *mx: tuple[int, str], error: Exception | None = None):
        self.rows = [dns.rdata.from_text("IN", "MX", f"{order} {name}") for order, name in mx]
        self.error = error

    def resolve(self, name, kind, lifetime):
        assert name.endswith(".") and kind == "MX" and lifetime <= 5
        if self.error:
            raise self.error
        return self.rows


@pytest.fixture
def answering(monkeypatch):
    def use(*mx, error=None):
        monkeypatch.setattr(dns.resolver, "get_default_resolver", lambda: Answers(*mx, error=error))

    return use


def test_the_preferred_mail_server_decides_and_is_named():
    found = guessing.look_up("me@example.com", Answers((20, "mx.zoho.com."), (5, "ASPMX.l.google.com.")))
    assert (found.state, found.preset.slug, found.own_domain) == ("found", "gmail", True)
    assert "aspmx.l.google.com" in found.text


def test_direct_send_is_offered_where_the_same_server_takes_mail_without_a_password():
    found = guessing.look_up("me@example.com", Answers((5, "example-com.mail.protection.outlook.com.")))
    assert found.preset.slug == "m365"
    assert found.text.endswith("Microsoft 365 direct send, server example-com.mail.protection.outlook.com.")
    assert "direct send" not in guessing.look_up("me@example.com", Answers((5, "aspmx.l.google.com."))).text


def test_a_server_of_ours_belongs_to_the_preset_it_was_laid_over():
    overrides.change("sendgrid", {"host": "smtp.relay.example.com"}, by=None)
    assert guessing.look_up("smtp.relay.example.com", Answers()).preset.slug == "sendgrid"


def test_a_provider_s_own_address_needs_no_look_up():
    found = guessing.look_up("me@gmail.com", Answers(error=AssertionError("asked DNS")))
    assert (found.preset.slug, found.own_domain) == ("gmail", False)


@pytest.mark.parametrize(
    "resolver, state",
    [
        (Answers(error=dns.exception.Timeout()), "unknown"),
        (Answers(error=dns.resolver.NoNameservers()), "unknown"),
        (Answers(error=dns.resolver.NoResolverConfiguration()), "unknown"),
        (Answers(error=OSError("no network")), "unknown"),
        (Answers(error=dns.resolver.NoAnswer(response=dns.message.make_query("example.com", "MX"))), "none"),
        (Answers(error=dns.resolver.NXDOMAIN()), "missing"),
        (Answers((0, ".")), "none"),
        (Answers((10, "mx.example.com.")), "none"),
    ],
)
def test_no_answer_is_unknown_and_never_none(resolver, state):
    found = guessing.look_up("me@example.com", resolver)
    assert (found.state, found.preset) == (state, None)
    assert found.text.endswith(".")


@pytest.mark.parametrize("typed", ["", "@", "me@", "localhost", "me@exa mple.com", "a@b@c.com", "-x.com", "10.0.0.1"])
def test_what_is_no_address_asks_nobody(typed):
    with pytest.raises(ValidationError):
        guessing.look_up(typed, Answers(error=AssertionError("asked DNS")))


def test_the_form_opens_dressed_for_the_provider(client, administrator, answering):
    answering((1, "aspmx.l.google.com."))
    client.force_login(administrator)
    assert 'name="address"' in client.get(reverse("smarthosts:add")).content.decode()
    answer = client.post(reverse("smarthosts:guess"), {"address": "me@example.com"}, follow=True)
    assert answer.redirect_chain[-1][0].endswith("?preset=gmail&sending_domain=example.com")
    page = answer.content.decode()
    assert "smtp.gmail.com" in page and "aspmx.l.google.com" in page


def test_dns_that_is_silent_is_said(client, administrator, answering):
    answering(error=dns.exception.Timeout())
    client.force_login(administrator)
    page = client.post(reverse("smarthosts:guess"), {"address": "example.com"}, follow=True).content.decode()
    assert "DNS did not answer for example.com" in page
    assert client.post(reverse("smarthosts:guess"), {"address": "<b>"}, follow=True).status_code == 200


def test_only_who_may_change_settings_asks(client, customer, answering):
    answering(error=AssertionError("asked DNS"))
    client.force_login(customer)
    assert client.post(reverse("smarthosts:guess"), {"address": "example.com"}).status_code == 404


def test_the_command_says_it_and_ends_with_one_when_nobody_is_known(capsys, answering):
    answering((1, "example-com.mail.protection.outlook.com."))
    call_command("smarthost", "guess", "me@example.com")
    assert "--preset m365" in capsys.readouterr().out
    answering(error=dns.exception.Timeout())
    with pytest.raises(SystemExit) as end:
        call_command("smarthost", "guess", "me@example.com", "--json")
    assert end.value.code == 1 and '"state": "unknown"' in capsys.readouterr().out


def test_a_server_s_own_values_are_found_too(customer_client, answering):
    server = ServerFactory(people=[customer_client.user])
    services = reverse("servers:services", args=[server.pk])
    assert "Find the settings by an e-mail address" in customer_client.get(services).content.decode()
    url = reverse("gateway:guess", args=[server.pk])
    answering((1, "aspmx.l.google.com."))
    answer = customer_client.post(url, {"address": "me@example.com"}, follow=True)
    assert answer.redirect_chain[-1][0] == f"{services}?provider=own%3Agmail&sending_domain=example.com#gateway"
    page = answer.content.decode()
    assert 'value="smtp.gmail.com"' in page and 'value="example.com"' in page
    answer = customer_client.post(url, {"address": "no address"}, follow=True)
    assert "A domain looks like example.com" in answer.content.decode()
    assert customer_client.post(reverse("gateway:guess", args=[ServerFactory().pk])).status_code == 404

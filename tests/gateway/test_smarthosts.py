"""SMTP provider accounts: what is kept, what is refused, what is forgotten."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.db.models import RestrictedError
from django.utils import timezone

from controlpanel.access.models import AuditEntry
from gateway import rules, smarthosts, values, wanted
from gateway.models import Gateway, Smarthost
from gateway.values import Values
from servers.models import Server
from servers.remote.secret import Secret
from tests.factories import GatewayFactory, OwnSmarthostFactory, ServerFactory, SmarthostFactory

pytestmark = pytest.mark.django_db
BLNS = Path(__file__).resolve().parents[3] / "shared" / "data" / "blns.json"

GOOD = Values(host="smtp.example.com", port=587, username="relay", password=Secret("canary-pw"))


def typed(**changes) -> Values:
    return replace(GOOD, **changes)


def test_a_port_implies_its_encryption(administrator):
    by_port = {
        port: smarthosts.create(f"p{port}", typed(port=port), by=administrator).tls for port in (25, 465, 587, 2525)
    }
    assert by_port == {25: "starttls", 465: "implicit", 587: "starttls", 2525: "starttls"}


@pytest.mark.parametrize(("port", "tls"), [(465, "starttls"), (587, "implicit")])
def test_a_mode_the_port_contradicts_is_refused(port, tls, administrator):
    with pytest.raises(ValidationError) as error:
        smarthosts.create("x", typed(port=port, tls=tls), by=administrator)
    assert set(error.value.message_dict) == {"tls"}
    assert not Smarthost.objects.exists()


def test_a_preset_decides_host_port_and_user_name(administrator):
    made = smarthosts.create("s", Values(preset="sendgrid", password=Secret("SG.x")), by=administrator)
    assert (made.host, made.port, made.tls, made.username) == ("smtp.sendgrid.net", 587, "starttls", "apikey")


def test_ses_derives_the_password_and_forgets_the_key(administrator):
    new = Values(
        preset="ses",
        region="eu-central-1",
        username="AKIAEXAMPLE",
        password=Secret("some+secret+key"),
        iam_secret=True,
    )
    made = smarthosts.create("ses", new, by=administrator)
    made.refresh_from_db()
    assert made.host == "email-smtp.eu-central-1.amazonaws.com"
    assert made.password == Secret("BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2")


def test_one_token_in_both_fields_is_stored_only_as_password(administrator):
    token = "0d7c1d2e-0000-4000-8000-123456789abc"
    made = smarthosts.create("p", Values(preset="postmark", username=token, password=Secret(token)), by=administrator)
    assert (made.username, made.password) == ("", Secret(token))


def test_a_relay_without_sign_in_takes_none(administrator):
    with pytest.raises(ValidationError) as error:
        smarthosts.create("g", Values(preset="godaddy-relay", username="me"), by=administrator)
    assert "username" in error.value.message_dict
    made = smarthosts.create("g", Values(preset="godaddy-relay"), by=administrator)
    assert (made.port, made.tls, made.has_password) == (25, "none", False)


@pytest.mark.parametrize(
    "password",
    [b"p", b"#:{/&$'\"\\%", b" in  side ", "pässwörd-✉".encode(), b"x" * 500, b"\x01\x7f raw", b"$mail_version$$x"],
)
def test_a_password_is_kept_byte_for_byte(password, administrator):
    made = smarthosts.create("p", typed(password=Secret(password)), by=administrator)
    assert Smarthost.objects.get(pk=made.pk).password.reveal() == password


@pytest.mark.parametrize("password", [b"", b"a\nb", b"a\rb", b"a\0b", b"x" * 501, b"\xff\xfe"])
def test_a_password_postfix_cannot_carry_is_refused(password, administrator):
    with pytest.raises(ValidationError) as error:
        smarthosts.create("p", typed(password=Secret(password)), by=administrator)
    assert set(error.value.message_dict) == {"password"}


@pytest.mark.parametrize("change", [{"host": "evil.example.net"}, {"username": "someone"}])
def test_a_changed_endpoint_wipes_the_password(change, administrator):
    smarthost = SmarthostFactory(username="relay")
    new = replace(values.of(smarthost), **change)
    changed, wiped = smarthosts.change(smarthost, smarthost.name, new, by=administrator)
    assert wiped
    assert Smarthost.objects.get(pk=changed.pk).password is None


@pytest.mark.parametrize("port, tls", [(2525, "starttls"), (465, "implicit")])
def test_another_port_of_the_same_host_keeps_the_password(port, tls, administrator):
    """What a diagnosis proposes is applied without the password, which nobody may have at hand."""
    smarthost = SmarthostFactory(password=Secret("canary-kept"))
    new = replace(values.of(smarthost), port=port, tls=tls)
    changed, wiped = smarthosts.change(smarthost, smarthost.name, new, by=administrator)
    assert not wiped and Smarthost.objects.get(pk=changed.pk).password == Secret("canary-kept")
    own = smarthosts.own(ServerFactory(), replace(new, port=2587, tls="starttls"), by=administrator, known=smarthost)
    assert (own.port, own.password) == (2587, Secret("canary-kept"))


@pytest.mark.parametrize("weak", [{"verify_certificate": False}, {"tls": "none"}])
def test_another_port_that_proves_nothing_gets_no_password(weak, administrator):
    """On a shared host anybody may listen on a high port; without a checked certificate that may be who answers."""
    smarthost = SmarthostFactory(port=25, **weak)
    assert smarthosts.change(smarthost, smarthost.name, replace(values.of(smarthost), port=2525), by=administrator)[1]


@pytest.mark.parametrize("change", [{"verify_certificate": False}, {"tls": "none"}])
def test_a_stored_password_is_not_sent_over_weaker_encryption(change, administrator):
    smarthost = SmarthostFactory(port=2525)
    new = replace(values.of(smarthost), **change)
    assert smarthosts.change(smarthost, smarthost.name, new, by=administrator)[1]


def test_a_blank_password_keeps_the_stored_one(administrator):
    smarthost = SmarthostFactory(password=Secret("canary-kept"))
    new = replace(values.of(smarthost), sending_domain="other.example")
    changed, wiped = smarthosts.change(smarthost, "renamed", new, by=administrator)
    assert not wiped
    assert Smarthost.objects.get(pk=changed.pk).password == Secret("canary-kept")


def test_a_note_is_no_reason_to_install_again(administrator):
    smarthost = SmarthostFactory()
    noted, _ = smarthosts.change(smarthost, "n", replace(values.of(smarthost), note="renewed"), by=administrator)
    assert noted.revision == 1
    rotated, _ = smarthosts.change(smarthost, "n", replace(values.of(noted), password=Secret("x")), by=administrator)
    assert rotated.revision == 2


def test_there_is_one_default(administrator):
    first = smarthosts.create("a", GOOD, by=administrator, default=True)
    second = smarthosts.create("b", GOOD, by=administrator, default=True)
    assert Smarthost.objects.default() == second
    smarthosts.set_default(first, by=administrator)
    assert Smarthost.objects.default() == first


def test_a_used_provider_is_not_deleted(administrator):
    gateway = GatewayFactory()
    with pytest.raises(smarthosts.InUse):
        smarthosts.delete(gateway.wanted, by=administrator)
    with pytest.raises(RestrictedError):
        gateway.wanted.delete()
    unused = SmarthostFactory()
    smarthosts.delete(unused, by=administrator)
    assert not Smarthost.objects.filter(pk=unused.pk).exists()


def test_two_shared_providers_never_have_one_name(administrator):
    smarthosts.create("same", GOOD, by=administrator)
    with pytest.raises(ValidationError, match="has this name"):
        smarthosts.create(" same ", GOOD, by=administrator)


def test_own_values_are_replaced_never_edited(administrator):
    server = ServerFactory()
    first = smarthosts.own(server, GOOD, by=administrator)
    GatewayFactory(server=server, wanted=first, working=True)
    second = smarthosts.own(server, typed(password=Secret("new")), by=administrator, known=first)
    assert second.pk != first.pk
    assert Smarthost.objects.get(pk=first.pk).password == Secret("canary-pw")
    assert smarthosts.own(server, typed(password=None), by=administrator, known=first).pk == first.pk


def test_own_values_refuse_another_endpoint_with_the_old_password(administrator):
    server = ServerFactory()
    first = smarthosts.own(server, GOOD, by=administrator)
    with pytest.raises(ValidationError, match="belongs to relay at smtp.example.com:587"):
        smarthosts.own(server, typed(host="evil.example.net", password=None), by=administrator, known=first)


def test_a_password_whose_key_is_lost_is_asked_for_again(administrator, settings):
    server = ServerFactory()
    first = smarthosts.own(server, GOOD, by=administrator)
    settings.VAULT_KEYS = [("other", "A" * 43 + "=")]
    lost = Smarthost.objects.get(pk=first.pk)
    with pytest.raises(ValidationError, match="Type it again"):
        smarthosts.own(server, typed(password=None, sending_domain="b.example"), by=administrator, known=lost)


def test_values_nobody_installed_are_forgotten(administrator, time_machine):
    server = ServerFactory()
    abandoned = smarthosts.own(server, typed(port=2525), by=administrator)
    used = GatewayFactory(server=server, wanted=OwnSmarthostFactory(server=server)).wanted
    time_machine.move_to(timezone.now() + smarthosts.CANDIDATE_LIFE + timedelta(seconds=1))
    smarthosts.prune()
    assert list(Smarthost.objects.values_list("pk", flat=True)) == [used.pk]
    assert not Smarthost.objects.filter(pk=abandoned.pk).exists()


def test_deleting_a_server_deletes_its_gateway_and_own_values(administrator):
    own = OwnSmarthostFactory()
    GatewayFactory(server=own.server, wanted=own, working=True)
    Server.objects.get(pk=own.server.pk).delete()
    assert not Smarthost.objects.exists()
    assert not Gateway.objects.exists()


@pytest.mark.parametrize("host", ["10.0.0.5", "127.0.0.1", "::1", "::ffff:10.0.0.1", "mail", "relay.internal"])
def test_a_customer_reaches_no_private_host(host, customer, operator):
    server = ServerFactory()
    with pytest.raises(ValidationError) as error:
        smarthosts.own(server, typed(host=host), by=customer)
    assert set(error.value.message_dict) == {"host"}
    assert smarthosts.own(server, typed(host=host), by=operator).host == host


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "0x7f000001"]
)
def test_nobody_reaches_the_metadata_service(host, administrator):
    with pytest.raises(ValidationError):
        smarthosts.own(ServerFactory(), typed(host=host), by=administrator)


@pytest.mark.skipif(not BLNS.exists(), reason="the shared test data is not beside this checkout")
@pytest.mark.parametrize(
    "field", ["host", "username", "sending_domain", "helo_name", "root_address", "region", "preset", "tls", "note"]
)
def test_hostile_text_is_stored_as_typed_or_refused_by_field(field, administrator):
    for number, text in enumerate(json.loads(BLNS.read_text())):
        try:
            made = smarthosts.create(f"n{number}", typed(**{field: text}), by=administrator)
        except ValidationError as error:
            assert set(error.message_dict) <= {field, "tls", "password"}, text
            continue
        wanted.relay(made, 0)  # what is accepted here is accepted there
        stored = getattr(Smarthost.objects.get(pk=made.pk), field)
        assert stored in (text, text.strip(" "), text.lower(), getattr(values.Values(), field), "starttls"), text
        assert field == "note" or not any(mark in stored for mark in "\r\n\0"), text
        assert field == "note" or not stored.startswith("-"), text


@pytest.mark.parametrize("field", ["host", "username", "sending_domain", "helo_name", "root_address"])
@pytest.mark.parametrize(
    "text", ["a\nb.example.com", "a\rb.example.com", "a\0b", "-oX", "--help", "a\x1b[0mb", "\ud800"]
)
def test_what_would_add_a_line_or_an_option_is_refused(field, text, administrator):
    with pytest.raises(ValidationError) as error:
        smarthosts.create("x", typed(**{field: text}), by=administrator)
    assert set(error.value.message_dict) == {field}


def test_the_audit_log_names_the_change_and_no_secret(administrator):
    made = smarthosts.create("a", GOOD, by=administrator)
    smarthosts.change(made, "a", typed(password=Secret("canary-pw-2"), port=2525), by=administrator)
    entries = AuditEntry.objects.filter(subject_kind="SMTP provider")
    assert [entry.verb for entry in entries.order_by("id")] == ["added", "changed"]
    assert entries.first().detail["changed"] == {"port": [587, 2525]}
    assert "canary" not in json.dumps([entry.detail for entry in entries])


def test_a_colon_in_the_user_name_is_refused_where_postfix_cannot_carry_it(administrator):
    old = ServerFactory(findings={"facts": {"os": "Debian 12"}})
    new = ServerFactory(findings={"facts": {"os": "Debian 13"}})
    unchecked = ServerFactory()
    with pytest.raises(ValidationError, match="colon in a user name"):
        smarthosts.own(old, typed(username="a:b"), by=administrator)
    for server in (new, unchecked):
        assert smarthosts.own(server, typed(username="a:b"), by=administrator).username == "a:b"


@pytest.mark.parametrize("address", ["root@localhost", "a" * 65 + "@example.com", "a b@example.com", "a@b@example.com"])
def test_an_address_postfix_would_refuse_is_refused_here(address, administrator):
    with pytest.raises(ValidationError) as error:
        smarthosts.create("x", typed(root_address=address), by=administrator)
    assert set(error.value.message_dict) == {"root_address"}


def test_use_counts_every_server_once_and_those_on_an_earlier_password(administrator):
    provider, other = SmarthostFactory(), SmarthostFactory()
    for _ in range(3):
        GatewayFactory(wanted=provider, working=True)
    GatewayFactory(wanted=provider)
    leaving = GatewayFactory(wanted=provider, working=True)
    Gateway.objects.filter(pk=leaving.pk).update(wanted=other)
    found = {row.pk: (row.servers, row.earlier) for row in Smarthost.objects.with_use()}
    assert found == {provider.pk: (5, 0), other.pk: (1, 0)}
    smarthosts.change(provider, "p", replace(values.of(provider), password=Secret("new")), by=administrator)
    found = {row.pk: (row.servers, row.earlier) for row in Smarthost.objects.with_use()}
    assert found == {provider.pk: (5, 4), other.pk: (1, 0)}


@pytest.mark.parametrize(
    "new",
    [
        Values(preset="google-relay", helo_name="web.example.com"),
        Values(preset="m365-direct", host="example-com.mail.protection.outlook.com"),
        Values(preset="godaddy-relay"),
    ],
    ids=lambda new: new.preset,
)
def test_a_relay_that_asks_no_sign_in_is_stored_and_warned_about(new, administrator):
    made = smarthosts.create("r", new, by=administrator)
    rules.ready(values.of(made), has_password=made.has_password)
    relay = wanted.relay(made, 0)
    assert (relay.username, relay.password) == ("", None)
    assert any(warning.startswith("Nobody signs in:") for warning in rules.warnings(made))


def test_a_relay_with_a_sign_in_has_no_such_warning(administrator):
    new = Values(preset="google-relay", username="me@example.com", password=Secret("abcdefghijklmnop"))
    made = smarthosts.create("r", new, by=administrator)
    assert not any(warning.startswith("Nobody signs in:") for warning in rules.warnings(made))

import re

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from controlpanel.access import links
from controlpanel.access.models import AuditEntry
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db
LOGIN = reverse("account_login")


@pytest.fixture(autouse=True)
def _fresh_counters():
    cache.clear()


def _code(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time())))


def _sign_in(email: str, password: str = PASSWORD, client: Client | None = None):
    return (client or Client()).post(LOGIN, {"login": email, "password": password})


def test_the_right_password_opens_the_dashboard(operator):
    assert _sign_in(operator.email).url == reverse("dashboard")
    assert _sign_in(operator.email.upper()).url == reverse("dashboard")


def _signed_in_and_confirmed(person) -> Client:
    """Pages that change how one signs in ask for the password once more."""
    client = Client()
    _sign_in(person.email, client=client)
    assert client.get(reverse("mfa_activate_totp")).url.startswith(reverse("account_reauthenticate"))
    assert client.get(reverse("account_reauthenticate")).status_code == 200
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD, "next": reverse("profile")})
    return client


def _told(email: str, password: str) -> str:
    page = _sign_in(email, password).content.decode()
    return re.sub(r'(csrfmiddlewaretoken" value="[^"]+"|value="[^"]*@[^"]*")', "", page)


def test_an_unknown_address_and_a_wrong_password_answer_the_same(operator, administrator):
    administrator.is_active = False
    administrator.save()
    answers = {
        _told(operator.email, "wrong"),
        _told("nobody@example.com", "wrong"),
        _told(administrator.email, "wrong"),
    }
    assert len(answers) == 1


def test_the_sixth_failed_try_waits_even_with_the_right_password(operator):
    for _ in range(5):
        _sign_in(operator.email, "wrong")
    answer = _sign_in(operator.email)
    assert answer.status_code == 200
    assert "Too many failed tries" in answer.content.decode()


def test_a_deactivated_person_is_told_so_only_after_the_right_password(operator):
    operator.is_active = False
    operator.save()
    assert _sign_in(operator.email).url == reverse("account_inactive")


def test_after_sign_in_only_addresses_of_the_panel_are_followed(operator):
    typed = {"login": operator.email, "password": PASSWORD, "next": "https://evil.example/"}
    assert Client().post(LOGIN, typed).url == reverse("dashboard")


@pytest.fixture
def second_factor(operator):
    """The secret of an authenticator app the operator set up."""
    secret = "JBSWY3DPEHPK3PXP"
    TOTP.activate(operator, secret)
    RecoveryCodes.activate(operator)
    return secret


def test_the_second_factor_is_asked_before_anything_opens(operator, second_factor):
    client = Client()
    assert _sign_in(operator.email, client=client).url == reverse("mfa_authenticate")
    assert client.get(reverse("dashboard")).status_code == 302
    assert client.get(reverse("mfa_authenticate")).status_code == 200
    assert client.post(reverse("mfa_authenticate"), {"code": "000000"}).status_code == 200
    assert client.get(reverse("dashboard")).status_code == 302
    assert client.post(reverse("mfa_authenticate"), {"code": _code(second_factor)}).status_code == 302
    assert client.get(reverse("dashboard")).status_code == 200


def test_a_sign_in_link_does_not_walk_past_the_second_factor(operator, second_factor):
    client = Client()
    assert client.post(links.path(links.make(operator))).url == reverse("mfa_authenticate")
    assert client.get(reverse("dashboard")).status_code == 302
    assert client.post(reverse("mfa_authenticate"), {"code": _code(second_factor)}).url == reverse("choose_password")


def test_a_recovery_code_works_once(operator, second_factor):
    stored = Authenticator.objects.get(user=operator, type=Authenticator.Type.RECOVERY_CODES)
    code = RecoveryCodes(stored).get_unused_codes()[0]
    for landing in (reverse("dashboard"), None):
        client = Client()
        _sign_in(operator.email, client=client)
        answer = client.post(reverse("mfa_authenticate"), {"code": code})
        assert getattr(answer, "url", None) == landing


def test_turning_on_the_app_leaves_an_audit_entry_without_the_secret(operator, django_capture_on_commit_callbacks):
    client = _signed_in_and_confirmed(operator)
    page = client.get(reverse("mfa_activate_totp"))
    secret = page.context["form"].secret
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(reverse("mfa_activate_totp"), {"code": _code(secret)}).status_code == 302
    assert Authenticator.objects.filter(user=operator, type=Authenticator.Type.TOTP).exists()
    entry = AuditEntry.objects.get(verb="turned on the authenticator app")
    assert secret not in str(vars(entry))
    for name in ("mfa_index", "mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_deactivate_totp"):
        assert client.get(reverse(name)).status_code == 200


def test_changing_the_password_asks_for_the_old_one(operator):
    client = Client()
    _sign_in(operator.email, client=client)
    new = {"password1": "another long phrase", "password2": "another long phrase"}
    refused = client.post(reverse("account_change_password"), new | {"oldpassword": "wrong"})
    assert refused.status_code == 200
    assert "another long phrase" not in refused.content.decode()
    assert client.post(reverse("account_change_password"), new | {"oldpassword": PASSWORD}).url == reverse("profile")
    assert AuditEntry.objects.filter(verb="changed own password").exists()


@pytest.mark.parametrize("name", ["mfa_list_webauthn", "mfa_add_webauthn", "usersessions_list", "mfa_index", "profile"])
def test_the_pages_of_ones_own_account_open(operator, name):
    assert _signed_in_and_confirmed(operator).get(reverse(name)).status_code == 200


def test_signing_out_is_a_post(operator_client):
    assert operator_client.get(reverse("account_logout")).status_code == 200
    assert operator_client.get(reverse("dashboard")).status_code == 200
    operator_client.post(reverse("account_logout"))
    assert operator_client.get(reverse("dashboard")).status_code == 302


def test_the_app_shows_the_panel_and_the_address(operator):
    label = get_adapter().get_totp_label(operator)
    assert operator.email in label


def test_the_profile_keeps_what_was_typed_and_says_what_is_wrong(operator_client):
    answer = operator_client.post(reverse("profile"), {"name": "a\u202eb", "theme": "dark"})
    assert answer.status_code == 422
    saved = operator_client.post(reverse("profile"), {"name": "Olu", "theme": "dark", "compact": "on"})
    assert saved.status_code == 302
    page = operator_client.get(reverse("profile")).content.decode()
    assert 'data-bs-theme="dark"' in page
    assert re.search(r'<html[^>]*class="[^"]*compact', page)

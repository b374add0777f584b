from datetime import timedelta

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from controlpanel.access import links, people
from controlpanel.access.models import AuditEntry, Role, SignInLink, User
from tests import factories

pytestmark = pytest.mark.django_db
CHOSEN = {"password1": "a long enough phrase", "password2": "a long enough phrase", "name": "Nia"}


def test_only_a_hash_is_stored(operator):
    token = links.make(operator)
    assert token not in str(SignInLink.objects.values_list())


def test_a_link_works_once(operator):
    token = links.make(operator)
    assert links.redeem(token) == operator
    with pytest.raises(links.LinkSpent):
        links.redeem(token)


def test_a_link_ends_with_its_time(operator):
    token = links.make(operator)
    with time_machine.travel(timezone.now() + links.VALID_FOR + timedelta(seconds=1)), pytest.raises(links.LinkSpent):
        links.redeem(token)


def test_using_a_link_ends_the_old_password_its_sessions_and_the_other_links(operator, operator_client):
    token, other = links.make(operator), links.make(operator)
    assert operator_client.get(reverse("profile")).status_code == 200
    links.redeem(token)
    operator.refresh_from_db()
    assert not operator.has_usable_password()
    assert operator_client.get(reverse("profile")).status_code == 302
    with pytest.raises(links.LinkSpent):
        links.redeem(other)


def test_a_deactivated_person_has_no_way_in(administrator, operator):
    token = links.make(operator)
    people.deactivate(operator, by=administrator)
    with pytest.raises(links.LinkSpent):
        links.redeem(token)


def test_opening_the_address_does_not_use_it_up(operator):
    token = links.make(operator)
    client = Client()
    for _ in range(2):
        assert client.get(links.path(token)).status_code == 200
    assert client.post(links.path(token)).url == reverse("choose_password")


def test_unknown_used_and_old_links_look_the_same(operator):
    used = links.make(operator)
    links.redeem(used)
    answers = {Client().get(links.path(token)).content for token in (used, "never-made")}
    assert len(answers) == 1


def test_the_first_administrator_gives_address_and_password():
    token = links.for_first_administrator()
    client = Client()
    assert client.post(links.path(token)).url == reverse("choose_password")
    assert client.get(reverse("choose_password")).status_code == 200
    answer = client.post(reverse("choose_password"), CHOSEN | {"email": "Ada@Example.com"})
    assert answer.url == reverse("dashboard")
    first = User.objects.get()
    assert (first.email, first.role, first.check_password(CHOSEN["password1"])) == (
        "ada@example.com",
        Role.ADMINISTRATOR,
        True,
    )
    assert links.for_first_administrator() is None
    assert client.get(reverse("dashboard")).status_code == 200  # the session outlives the change of password


def test_each_start_offers_a_link_until_a_password_is_chosen():
    first, second = links.for_first_administrator(), links.for_first_administrator()
    assert first != second
    assert User.objects.count() == 1


def test_an_invited_person_keeps_the_address_the_administrator_gave(administrator):
    person, token = people.invite("nia@example.com", Role.VIEWER, by=administrator)
    client = Client()
    client.post(links.path(token))
    client.post(reverse("choose_password"), CHOSEN | {"email": "someone@else.example"})
    person.refresh_from_db()
    assert person.email == "nia@example.com"
    assert person.has_usable_password()


@pytest.mark.parametrize(
    "typed", [{"password1": "short", "password2": "short"}, {"password2": "another long phrase"}, {"name": "a\u202eb"}]
)
def test_a_refused_password_page_keeps_the_name_and_no_password(typed):
    client = Client()
    client.post(links.path(links.for_first_administrator()))
    answer = client.post(reverse("choose_password"), CHOSEN | {"email": "ada@example.com"} | typed)
    assert answer.status_code == 422
    assert CHOSEN["password1"] not in answer.content.decode()
    assert not User.objects.get().has_usable_password()


def test_whoever_has_a_password_cannot_replace_it_without_the_old_one(operator_client):
    assert operator_client.post(reverse("choose_password"), CHOSEN).url == reverse("profile")


def test_a_link_ignores_the_host_header(operator, settings):
    assert links.url(links.make(operator)).startswith(settings.SITE_URL + "/sign-in/")


def test_the_command_makes_a_person_and_prints_the_address(capsys):
    call_command("sign_in_link", "ops@example.com", role="administrator")
    address = capsys.readouterr().out.strip()
    person = User.objects.get(email="ops@example.com")
    assert person.role == Role.ADMINISTRATOR
    assert links.owner(address.rstrip("/").rpartition("/")[2]) == person
    assert AuditEntry.objects.first().actor_name == "command line"


@pytest.mark.parametrize(("email", "role"), [("not an address", None), ("here@example.com", "administrator")])
def test_the_command_refuses_what_it_cannot_do(email, role):
    factories.ViewerFactory(email="here@example.com")
    with pytest.raises(CommandError):
        call_command("sign_in_link", email, role=role)

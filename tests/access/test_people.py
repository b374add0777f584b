import pytest
from allauth.mfa.models import Authenticator
from django.urls import reverse

from controlpanel.access import people
from controlpanel.access.models import AuditEntry, Role, User
from tests import factories

pytestmark = pytest.mark.django_db


def test_an_invitation_shows_the_link_once_and_keeps_it_nowhere(administrator_client):
    answer = administrator_client.post(reverse("people:invite"), {"email": "Nia@Example.com", "role": "operator"})
    page = answer.content.decode()
    assert "/sign-in/" in page
    assert "no-store" in answer.headers["Cache-Control"]
    token = page.split("/sign-in/")[1].split("/")[0]
    assert token not in str(AuditEntry.objects.values_list())
    assert User.objects.get(email="nia@example.com").role == Role.OPERATOR


def test_an_address_is_invited_once_whatever_its_case(administrator_client, operator):
    typed = {"email": operator.email.upper(), "role": "viewer", "name": "Twice"}
    answer = administrator_client.post(reverse("people:invite"), typed)
    assert answer.status_code == 422
    assert "Twice" in answer.content.decode()


@pytest.mark.parametrize(
    "field", [{"email": "x\r\ny@example.com"}, {"email": "no"}, {"role": "root"}, {"name": "a\0b"}]
)
def test_bad_input_is_refused_beside_its_field(administrator_client, field):
    typed = {"email": "n@example.com", "role": "viewer", "name": "N"} | field
    answer = administrator_client.post(reverse("people:invite"), typed)
    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == set(field)


def test_the_last_administrator_stays(administrator, administrator_client):
    for path, typed in (("people:person", {"role": "viewer", "name": ""}), ("people:deactivate", {})):
        administrator_client.post(reverse(path, args=[administrator.pk]), typed)
        administrator.refresh_from_db()
        assert administrator.is_active
        assert administrator.role == Role.ADMINISTRATOR


def test_a_deactivated_administrator_does_not_count(administrator):
    other = factories.AdministratorFactory()
    people.deactivate(other, by=administrator)
    with pytest.raises(people.LastAdministrator):
        people.change(administrator, name="", role=Role.VIEWER, by=administrator)


def test_deactivation_ends_open_sessions(administrator, operator, operator_client):
    assert operator_client.get("/").status_code == 200
    people.deactivate(operator, by=administrator)
    assert operator_client.get("/").status_code == 302


def test_every_verb_leaves_one_entry(administrator):
    person, _ = people.invite("nia@example.com", Role.VIEWER, by=administrator)
    people.change(person, name="Nia", role=Role.OPERATOR, by=administrator)
    people.change(person, name="Nia", role=Role.OPERATOR, by=administrator)  # nothing changed, nothing written
    people.new_link(person, by=administrator)
    people.deactivate(person, by=administrator)
    people.reactivate(person, by=administrator)
    verbs = list(AuditEntry.objects.order_by("id").values_list("verb", flat=True))
    assert verbs == ["invited", "changed", "made a sign-in link for", "deactivated", "reactivated"]
    changed = AuditEntry.objects.get(verb="changed")
    assert changed.detail == {"changed": {"name": ["", "Nia"], "role": ["viewer", "operator"]}}


def test_lost_second_factors_are_removed_after_a_page_that_counts_them(administrator_client, operator):
    Authenticator.objects.create(user=operator, type=Authenticator.Type.TOTP, data={})
    address = reverse("people:second_factors", args=[operator.pk])
    assert "1 second factor " in administrator_client.get(address).content.decode()
    assert Authenticator.objects.exists()
    administrator_client.post(address)
    assert not Authenticator.objects.exists()


def test_the_list_costs_the_same_for_many(administrator_client, django_assert_max_num_queries):
    factories.ViewerFactory.create_batch(30)
    with django_assert_max_num_queries(6):
        administrator_client.get(reverse("people:list"))

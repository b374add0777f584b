"""Settings → SSH keys: what is stored, who uses it, and what may go."""

import pytest
from django.urls import reverse

from controlpanel.access.models import AuditEntry
from servers import sshkeys
from servers.models import SshKey
from servers.remote import keypair
from servers.remote.secret import Secret
from tests import factories

pytestmark = pytest.mark.django_db
LIST = "/settings/keys/"


def page(client, url=LIST, status=200, **typed):
    answer = client.post(url, typed, follow=True) if typed else client.get(url)
    assert answer.status_code == status
    return answer.content.decode()


def pasted() -> str:
    return keypair.generate("mine")[0].reveal().decode()


def test_keys_are_listed_with_who_uses_them_and_never_their_private_half(administrator_client):
    own = sshkeys.panel_key(by="test")
    factories.ServerFactory.create_batch(2, ssh_key=own)
    factories.ServerFactory(ssh_key=own, archived=True)
    shown = page(administrator_client)
    assert "2 servers" in shown and "1 archived" in shown and sshkeys.fingerprint(own) in shown
    inside = page(administrator_client, f"{LIST}{own.pk}/")
    assert own.public in inside and "PRIVATE KEY" not in shown + inside
    assert reverse("keys:delete", args=[own.pk]) not in inside


def test_a_key_is_added_named_and_deleted(administrator_client):
    text = pasted()
    inside = page(administrator_client, f"{LIST}add/", name="Old fleet", private_key=text)
    key = SshKey.objects.get()
    assert key.name == "Old fleet" and sshkeys.own_key(Secret(text), by="test") == key and "Old fleet" in inside
    assert "stored already, as Old fleet." in page(
        administrator_client, f"{LIST}add/", status=422, name="Twice", private_key=text
    )
    assert "The name was saved" in page(administrator_client, f"{LIST}{key.pk}/", name="Older fleet")
    page(administrator_client, f"{LIST}{key.pk}/delete/", yes="1")
    assert not SshKey.objects.exists()
    said = AuditEntry.objects.filter(subject_kind="ssh key").order_by("pk").values_list("verb", flat=True)
    assert list(said) == ["added", "renamed", "deleted"]


@pytest.mark.parametrize("text", ["", "no key at all", "ssh-ed25519 AAAA mine"])
def test_what_is_no_private_key_is_refused_and_does_not_come_back(administrator_client, text):
    answer = administrator_client.post(f"{LIST}add/", {"name": "x", "private_key": text})
    assert answer.status_code == 422 and not SshKey.objects.exists()
    assert not text or text not in answer.content.decode()


def test_a_name_that_is_taken_stores_nothing(administrator_client):
    one = sshkeys.add(Secret(pasted()), "Fleet", by="test")
    answer = administrator_client.post(f"{LIST}add/", {"name": "Fleet", "private_key": pasted()})
    assert answer.status_code == 422 and list(SshKey.objects.all()) == [one]
    assert AuditEntry.objects.filter(verb="added", subject_kind="ssh key").count() == 1


def test_names_are_told_apart(administrator_client):
    one, two = (sshkeys.own_key(Secret(pasted()), by="test") for _ in range(2))
    answer = administrator_client.post(f"{LIST}{two.pk}/", {"name": one.name})
    assert answer.status_code == 422 and SshKey.objects.get(pk=two.pk).name == two.name


def test_a_key_in_use_and_the_panels_own_stay(administrator_client):
    used = sshkeys.own_key(Secret(pasted()), by="test")
    factories.ServerFactory(ssh_key=used, archived=True)
    own = sshkeys.panel_key(by="test")
    for key, why in ((used, "1 server is signed in to with"), (own, "own key stays")):
        assert why in page(administrator_client, f"{LIST}{key.pk}/delete/", yes="1")
    assert SshKey.objects.count() == 2


def test_only_who_may_edit_servers_sees_keys(operator_client, customer_client):
    assert page(operator_client, status=404) and page(customer_client, status=404)
    assert LIST not in operator_client.get("/servers/").content.decode()

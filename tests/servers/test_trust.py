import base64

import pytest
from django.core.exceptions import ValidationError

from controlpanel.access.models import AuditEntry
from servers import trust
from servers.models import Blocked, HostKey, Server
from servers.remote import keypair
from servers.remote.host import PinnedKey
from tests import factories

pytestmark = pytest.mark.django_db


def key(word: str, kind: str = "ssh-ed25519") -> PinnedKey:
    return PinnedKey(kind, base64.b64encode(word.encode()).decode())


def fingerprint(word: str) -> str:
    return keypair.fingerprint(key(word).body)


@pytest.fixture
def server():
    return factories.ServerFactory()


def accept(server, word: str, by=None) -> HostKey:
    trust.offer_host_keys(server, [key(word)])
    return trust.pin_host_key(server, fingerprint(word), by=by)


def test_nothing_is_trusted_before_a_person_says_so(server, administrator):
    assert not trust.offer_host_keys(server, [key("a")])
    assert server.login().pinned == ()
    assert server.reach == Server.Reach.KEY_OFFERED
    pinned = trust.pin_host_key(server, fingerprint("a"), by=administrator)
    assert Server.objects.get().login().pinned == (key("a"),)
    assert pinned.accepted_by == administrator
    assert AuditEntry.objects.get(verb="accepted the host key of").detail["fingerprint"] == fingerprint("a")
    assert trust.offer_host_keys(server, [key("a")])


def test_only_an_offered_key_can_be_accepted(server):
    trust.offer_host_keys(server, [key("a")])
    for wrong in (fingerprint("b"), "", "SHA256:", fingerprint("a")[:-1]):
        with pytest.raises(ValidationError, match="does not offer"):
            trust.pin_host_key(server, wrong, by=None)
    assert trust.pinned(server) is None


def test_the_strongest_kind_is_shown_first(server):
    trust.offer_host_keys(server, [key("r", "ssh-rsa"), key("x", "odd"), key("e"), key("c", "ecdsa-sha2-nistp256")])
    assert [k.kind for k in trust.waiting(server)] == ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa", "odd"]


def test_a_changed_key_blocks_everything_until_a_person_answers(server):
    accept(server, "a")
    assert not trust.offer_host_keys(server, [key("b")])
    blocked = Server.objects.get()
    assert blocked.reach == Server.Reach.KEY_CHANGED
    with pytest.raises(Blocked):
        blocked.login()
    trust.offer_host_keys(server, [key("b")])
    assert AuditEntry.objects.filter(verb="saw a changed host key of").count() == 1


def test_a_block_does_not_lift_by_itself_when_the_old_key_comes_back(server):
    accept(server, "a")
    trust.offer_host_keys(server, [key("b")])
    assert not trust.offer_host_keys(server, [key("a")])
    with pytest.raises(Blocked):
        Server.objects.get().login()


def test_accepting_the_new_key_retires_the_old_one(server):
    accept(server, "a")
    accept(server, "b")
    assert Server.objects.get().login().pinned == (key("b"),)
    assert HostKey.objects.get(body=key("a").body).state == HostKey.State.RETIRED
    assert not trust.offer_host_keys(server, [key("a")]), "a retired key is a stranger again"


def test_refusing_keeps_the_old_key(server):
    accept(server, "a")
    trust.offer_host_keys(server, [key("b")])
    trust.refuse_host_key(server, by=None)
    assert Server.objects.get().login().pinned == (key("a"),)
    assert AuditEntry.objects.get(verb="refused the host key of").detail["fingerprints"] == [fingerprint("b")]


def test_another_kind_of_key_is_a_changed_key(server):
    """A server whose pinned kind is gone could be anybody: M1 measured that a new kind is no reason to trust."""
    accept(server, "a")
    trust.offer_host_keys(server, [key("r", "ssh-rsa")])
    assert Server.objects.get().reach == Server.Reach.KEY_CHANGED

"""The proof through a real sshd, with forwarding allowed and forbidden."""

import time

import pytest

from gateway.postfix.spec import Relay
from gateway.proof import prove
from servers.remote import ssh
from servers.remote.host import Login, PinnedKey
from servers.remote.secret import Secret
from tests.fleet.faults import CLOSED_HOST, FAULTS
from tests.fleet.fleet import ACCOUNT
from tests.fleet.provider import NAME

pytestmark = pytest.mark.fleet

SENDER = "root@example.org"
CASES = {
    "badlogin": ("auth", "credentials-wrong"),
    "basicauthoff": ("auth", "m365-password-sign-in-ended"),
    "authlater": ("auth", "sign-in-unavailable"),
    "expired": ("tls", "certificate-expired"),
    "wrongname": ("tls", "certificate-name-mismatch"),
    "untrusted": ("tls", "certificate-not-trusted"),
    "nostarttls": ("tls", "tls-not-offered"),
    "silent": ("greeting", "greeting-timed-out"),
    "busy": ("greeting", "closing-for-now"),
    "refuses": ("greeting", "no-mail-from-here"),
    "overquota": ("mail_from", "google-daily-limit"),
}


def relay(**changes) -> Relay:
    values = {"host": NAME, "port": 587, "username": ACCOUNT.login, "password": Secret(ACCOUNT.password)}
    return Relay(**{**values, **changes})


def connect(server):
    kind, body = server.host_key.public.split()[:2]
    pinned = (PinnedKey(kind, body),)
    return ssh.connect(Login(str(server.address), 22, "root", pinned, private_key=Secret(server.key.private)))


@pytest.fixture(params=["tunnel", "server"])
def host(request, server):
    if request.param == "server":
        server.forbid_forwarding()
    with connect(server) as connected:
        connected.way = request.param
        yield connected


@pytest.mark.parametrize("port, tls", [(587, "starttls"), (465, "implicit"), (2525, "starttls")])
def test_a_good_account_is_proven(host, provider, port, tls):
    proof = prove(host, relay(port=port, tls=tls), sender=SENDER)
    assert proof.proven and proof.way == host.way, proof
    assert ACCOUNT.password not in repr(proof)


def test_a_wrong_password_and_a_foreign_sender_are_told_apart(host, provider):
    wrong = prove(host, relay(password=Secret("wrong")), sender=SENDER)
    assert (wrong.blocker.name, wrong.blocker.explanation.slug) == ("auth", "credentials-wrong"), wrong
    foreign = prove(host, relay(), sender="root@elsewhere.test")
    assert foreign.ok or foreign.blocker.name == "mail_from", foreign


def test_every_bad_provider_gets_its_own_cause(host, bad_provider):
    for fault, (stage, slug) in CASES.items():
        patience = 3 if fault == "silent" else 15
        proof = prove(host, relay(host=FAULTS[fault].host), sender=SENDER, patience=patience)
        assert proof.blocker, (fault, proof)
        assert (proof.blocker.name, proof.blocker.explanation.slug) == (stage, slug), (fault, proof)


def test_ports_and_names_that_do_not_answer(host, server, provider):
    closed = prove(host, relay(host=CLOSED_HOST), sender=SENDER)
    assert (closed.blocker.name, closed.blocker.explanation.slug) == ("tcp", "connection-refused"), closed
    unknown = prove(host, relay(host="no-such-host.provider.test"), sender=SENDER)
    assert unknown.blocker.name == "name", unknown
    server.drop(587, direction="out")
    started = time.monotonic()
    dropped = prove(host, relay(), sender=SENDER)
    assert (dropped.blocker.name, dropped.blocker.explanation.slug) == ("tcp", "connection-timed-out"), dropped
    assert time.monotonic() - started < 30


def test_every_distro_has_the_tools_for_its_own_check(each_server, provider):
    each_server.forbid_forwarding()
    with connect(each_server) as connected:
        proof = prove(connected, relay(), sender=SENDER)
    assert proof.proven and proof.way == "server", proof

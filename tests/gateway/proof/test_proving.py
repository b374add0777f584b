"""The proof, against real SMTP servers on loopback, by both ways: through a tunnel and with bash and openssl."""

import pytest

from gateway.proof import prove
from servers.remote.secret import MASK, Secret
from tests.gateway.proof.localhost import PASSWORD, Authority, LocalHost, Relay
from tests.ports import free_port

SENDER = "root@example.com"


def states(proof):
    return {stage.name: stage.state for stage in proof.stages}


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "implicit"])
@pytest.mark.parametrize("mechanisms", [("PLAIN",), ("LOGIN",), ("PLAIN", "LOGIN")], ids=" ".join)
def test_right_credentials_pass_every_stage(host, provider, implicit, mechanisms):
    server = provider(implicit=implicit, mechanisms=mechanisms)
    told = []
    relay = Relay(port=server.port, tls="implicit" if implicit else "starttls")
    proof = prove(host, relay, sender=SENDER, on_stage=told.append)
    assert (proof.ok, proof.proven, proof.way) == (True, True, host.way), proof
    order = ("tls", "greeting") if implicit else ("greeting", "tls")
    assert [stage.name for stage in proof.stages] == ["name", "tcp", *order, "auth", "mail_from"]
    assert set(states(proof).values()) == {"ok"}
    assert server.logins == [(b"user@example.com", PASSWORD.encode())]
    assert tuple(told) == proof.stages
    assert "TLSv1.3" in next(s.evidence for s in proof.stages if s.name == "tls")


def test_no_secret_is_in_the_proof_or_outside_a_secret_script(host, provider):
    proof = prove(host, Relay(port=provider().port), sender=SENDER)
    assert any(line.startswith("C: AUTH PLAIN " + MASK) for line in proof.transcript)
    assert PASSWORD not in repr(proof) and "AHVzZXJA" not in repr(proof)
    for script in host.scripts:
        assert isinstance(script, Secret) or (PASSWORD not in script and "AHVzZXJA" not in script)


def test_a_wrong_password_stops_with_the_providers_words(host, provider):
    relay = Relay(port=provider().port, password=Secret("wrong"))
    proof = prove(host, relay, sender=SENDER)
    assert not proof.ok and proof.blocker.name == "auth" and "mail_from" not in states(proof)
    assert proof.blocker.evidence == "535 5.7.8 Authentication credentials invalid"
    assert proof.blocker.explanation.slug == "credentials-wrong"


def test_a_refused_sender_is_named(host, provider):
    proof = prove(host, Relay(port=provider().port), sender="root@elsewhere.test")
    assert proof.blocker.name == "mail_from" and proof.blocker.explanation.slug == "sender-not-owned"


def test_a_long_password_takes_two_steps(host, provider):
    server = provider()
    proof = prove(host, Relay(port=server.port, password=Secret("ü" * 250)), sender=SENDER)
    assert proof.blocker.name == "auth"
    assert server.logins == [(b"user@example.com", ("ü" * 250).encode())]


def test_without_credentials_sign_in_is_skipped(host, provider):
    relay = Relay(port=provider(plain=True, auth=False).port, tls="none", username="", password=None)
    proof = prove(host, relay, sender=SENDER)
    assert proof.ok and proof.proven
    assert states(proof) == {"name": "ok", "tcp": "ok", "greeting": "ok", "auth": "skipped", "mail_from": "ok"}


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "implicit"])
@pytest.mark.parametrize(
    "case, slug",
    [
        ("expired", "certificate-expired"),
        ("wrong name", "certificate-name-mismatch"),
        ("unknown issuer", "certificate-not-trusted"),
    ],
)
def test_a_bad_certificate_stops_before_any_credential(host, provider, case, slug, implicit):
    server = {
        "expired": lambda: provider(days=-3, implicit=implicit),
        "wrong name": lambda: provider("other.test", implicit=implicit),
        "unknown issuer": lambda: provider(by=Authority("Nobody"), implicit=implicit),
    }[case]()
    relay = Relay(port=server.port, tls="implicit" if implicit else "starttls")
    proof = prove(host, relay, sender=SENDER)
    assert proof.blocker.name == "tls" and proof.blocker.explanation.slug == slug, proof
    assert not server.logins and not any("AUTH" in line for line in proof.transcript if line.startswith("C:"))


def test_a_certificate_may_stay_unchecked_and_that_is_said(host, provider):
    server = provider("other.test", days=-3, by=Authority("Nobody"))
    proof = prove(host, Relay(port=server.port, verify=False), sender=SENDER)
    assert proof.ok
    assert "not checked" in next(s.evidence for s in proof.stages if s.name == "tls")


def test_missing_starttls_is_named(host, provider):
    proof = prove(host, Relay(port=provider(plain=True).port), sender=SENDER)
    assert proof.blocker.name == "tls" and proof.blocker.explanation.slug == "tls-not-offered"


def test_implicit_tls_on_a_starttls_port_is_named(host, provider):
    proof = prove(host, Relay(port=provider().port, tls="implicit"), sender=SENDER)
    assert proof.blocker.name == "tls" and proof.blocker.explanation.slug == "tls-on-plain-port", proof


def test_a_closed_port_is_named(host):
    proof = prove(host, Relay(port=free_port()), sender=SENDER)
    assert proof.blocker.name == "tcp" and proof.blocker.explanation.slug == "connection-refused", proof


def test_an_unknown_name_is_named(host):
    proof = prove(host, Relay(host="no-such-host.invalid", port=587), sender=SENDER)
    assert proof.blocker.name == "name"
    assert proof.blocker.explanation.slug in ("name-unknown", "name-not-resolved"), proof


def test_an_address_with_its_own_certificate_passes(host, provider):
    proof = prove(host, Relay(host="127.0.0.1", port=provider("127.0.0.1").port), sender=SENDER)
    assert proof.ok, proof


def test_without_tools_the_proof_says_that_it_proves_nothing(provider):
    host = LocalHost(forbidden=True, without=("bash", "openssl"))
    proof = prove(host, Relay(port=provider().port), sender=SENDER)
    assert proof.ok and not proof.proven and proof.way == "none"
    assert states(proof)["auth"] == "unknown" and proof.notes


def test_without_a_bundle_the_panels_authorities_are_used_and_that_is_said(provider, bundle):
    bundle.unlink()
    proof = prove(LocalHost(), Relay(port=provider().port), sender=SENDER)
    assert proof.blocker.explanation.slug == "certificate-not-trusted"
    assert any("no list of certificate authorities" in note for note in proof.notes)


def test_the_bundle_travels_once_for_servers_that_share_it(provider):
    relay = Relay(port=provider().port)
    first, second = LocalHost(), LocalHost()
    assert prove(first, relay, sender=SENDER).ok and prove(second, relay, sender=SENDER).ok
    assert len(first.scripts) == 2 and len(second.scripts) == 1


def test_a_refused_address_is_never_contacted(host, provider):
    server = provider()
    proof = prove(host, Relay(port=server.port), sender=SENDER, refuse=lambda address: "this address is private")
    assert proof.blocker.name == "name" and "private" in proof.blocker.evidence
    assert proof.way == "none" and not server.logins and not proof.transcript


def test_an_allowed_address_is_checked_under_the_relays_name(host, provider):
    proof = prove(host, Relay(port=provider().port), sender=SENDER, refuse=lambda address: None)
    assert proof.ok or proof.blocker.name == "tcp"  # localhost may be ::1 first


@pytest.mark.parametrize("forbidden", [False, True], ids=["tunnel", "server"])
def test_a_name_that_changes_after_it_was_judged_leads_nowhere_else(forbidden, provider):
    """DNS may answer differently the second time, so there is none: what was judged is connected to."""

    class Recording(LocalHost):
        targets: list[str] = []

        def tunnel(self, name, port, **options):
            self.targets.append(name)
            return super().tunnel(name, port, **options)

    judged: list[str] = []
    host = Recording(forbidden)
    prove(host, Relay(port=provider().port), sender=SENDER, refuse=judged.append)
    assert judged and host.targets == [judged[0]]
    scripts = [script.reveal().decode() for script in host.scripts if isinstance(script, Secret)]
    assert len(scripts) == forbidden and all(f"\nhost={judged[0]}\n" in text for text in scripts), scripts


@pytest.mark.parametrize("sender", ["a@b\r\nRCPT TO:<x@y>", "<>", "a b@c", "ü@x"])
def test_a_sender_cannot_break_out_of_its_command(sender):
    with pytest.raises(ValueError, match="not valid"):
        prove(LocalHost(), Relay(port=25), sender=sender)


@pytest.mark.parametrize("field", ["host", "helo_name"])
def test_a_name_cannot_break_out_of_its_command(field):
    with pytest.raises(ValueError, match="not valid"):
        prove(LocalHost(), Relay(port=25, **{field: "x\r\ny"}), sender=SENDER)

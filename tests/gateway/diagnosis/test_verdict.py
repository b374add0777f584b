"""What is said about what was seen, case by case."""

import pytest

from gateway.diagnosis import report
from gateway.diagnosis.scan import Seen
from gateway.diagnosis.values import Asked, Way
from gateway.diagnosis.verdict import judge
from gateway.proof.values import Stage
from gateway.providers import causes
from gateway.providers.replies import explain

HOST, FOUR, SIX = "smtp.example.com", "192.0.2.25", "2001:db8::25"
GREETING = "220 smtp.example.com ESMTP"
SMTP = {"state": "open", "greeting": GREETING, "offers": ("STARTTLS",)}
TLS = {"state": "open", "tls": True}
REFUSED = {"state": "refused", "words": "Connection refused"}
SILENT = {"state": "silent"}
UNREACHABLE = {"state": "unreachable", "words": "No route to host"}
PROXY = SMTP | {"greeting": "220 proxy.isp.example ESMTP"}


def asked(port=587, tls="starttls", **more) -> Asked:
    return Asked(host=HOST, port=port, tls=tls, **more)


def seen(ports: dict, address: str = FOUR) -> tuple[Seen, ...]:
    return tuple(Seen(address=address, port=port, **what) for port, what in ports.items())


def stage(name: str, evidence: str) -> Stage:
    return Stage(name, "fail", evidence, 0, explain(evidence))


TCP = stage("tcp", f"connect to {HOST}[{FOUR}]:587: Connection timed out")
CASES = {
    "the chosen port is dropped and 2525 answers": (
        asked(),
        {25: SILENT, 465: SILENT, 587: SILENT, 2525: SMTP, 2587: REFUSED},
        TCP,
        ("port-blocked-other-open", Way(2525, "starttls")),
    ),
    "25 is dropped, and 587 is better than 465": (
        asked(25),
        {25: SILENT, 465: TLS, 587: SMTP},
        TCP,
        ("port-blocked-other-open", Way(587, "starttls")),
    ),
    "only implicit TLS is left": (
        asked(),
        {25: SILENT, 465: TLS, 587: SILENT},
        TCP,
        ("port-blocked-other-open", Way(465, "implicit")),
    ),
    "25 is proposed last": (
        asked(),
        {25: SMTP, 465: TLS, 587: SILENT},
        TCP,
        ("port-blocked-other-open", Way(465, "implicit")),
    ),
    "the provider's own order": (
        asked(ports=(587, 2587, 2525)),
        {587: SILENT, 2525: SMTP, 2587: SMTP},
        TCP,
        ("port-blocked-other-open", Way(2587, "starttls")),
    ),
    "everything is dropped": (asked(), dict.fromkeys((25, 465, 587, 2525), SILENT), TCP, ("all-ports-timed-out", None)),
    "dropped while others are refused": (
        asked(),
        {25: REFUSED, 587: SILENT, 2525: REFUSED},
        TCP,
        ("connection-timed-out", None),
    ),
    "25 dropped while others are refused": (asked(25), {25: SILENT, 587: REFUSED}, TCP, ("port-25-timed-out", None)),
    "refused, and another port answers": (
        asked(),
        {465: TLS, 587: REFUSED, 2525: SMTP},
        TCP,
        ("connection-refused", Way(2525, "starttls")),
    ),
    "all refused": (asked(), dict.fromkeys((25, 465, 587), REFUSED), TCP, ("connection-refused", None)),
    "open ports that say nothing are no way out": (
        asked(),
        {465: {"state": "open"}, 587: {"state": "open"}, 2525: {"state": "open"}},
        stage("greeting", "no greeting within 10 s"),
        ("greeting-timed-out", None),
    ),
    "a port that answers is not offered without encryption": (
        asked(),
        {587: SILENT, 2525: SMTP | {"offers": ("PIPELINING",)}},
        TCP,
        ("connection-timed-out", None),
    ),
    "no way there at all": (
        asked(),
        {587: {"state": "unreachable", "words": "Network is unreachable"}},
        stage("tcp", "Network is unreachable"),
        ("network-unreachable", None),
    ),
    "the server's own mail program answers": (
        asked(own_name="web1.example.org"),
        {587: SMTP | {"greeting": "220-web1.example.org ESMTP Exim"}, 2525: SMTP},
        stage("tls", "hostname mismatch"),
        ("smtp-intercepted", Way(2525, "starttls")),
    ),
    "a firewall masks the greeting": (
        asked(),
        {587: {"state": "open", "greeting": "220 ***************"}},
        stage("tls", "STARTTLS not offered. The server offers: XXXXXXXA"),
        ("smtp-intercepted", None),
    ),
    "another name and another certificate than on the other ports": (
        asked(),
        {587: SMTP | {"greeting": "220 proxy.isp.example ESMTP"}, 2525: SMTP},
        stage("tls", "self-signed certificate"),
        ("smtp-intercepted", Way(2525, "starttls")),
    ),
    "another machine of the same provider is no stranger": (
        asked(),
        {587: SMTP | {"greeting": "220 node7.example.com ESMTP"}, 2525: SMTP | {"greeting": "220 node9.example.com"}},
        stage("auth", "535 5.7.8 Error: authentication failed"),
        ("credentials-wrong", None),
    ),
    "STARTTLS chosen on a port that speaks TLS": (
        asked(10465),
        {10465: TLS},
        stage("greeting", "no greeting within 10 s"),
        ("greeting-timed-out", Way(10465, "implicit")),
    ),
    "TLS from the first byte chosen on a port that greets": (
        asked(2526, "implicit"),
        {2526: SMTP},
        stage("tls", "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
        ("tls-on-plain-port", Way(2526, "starttls")),
    ),
    "an expired certificate is the same on every port": (
        asked(),
        {587: SMTP, 2525: SMTP},
        stage("tls", "certificate has expired"),
        ("certificate-expired", None),
    ),
    "a wrong password": (
        asked(),
        {587: SMTP, 2525: SMTP},
        stage("auth", "535 5.7.8 Error: authentication failed"),
        ("credentials-wrong", None),
    ),
    "nothing is wrong": (asked(), {587: SMTP}, None, None),
    "a firewall forbids the port by ICMP": (
        asked(),
        {25: SMTP, 465: TLS, 587: UNREACHABLE, 2525: SMTP},
        stage("tcp", "No route to host"),
        ("port-forbidden", Way(2525, "starttls")),
    ),
    "forbidden by ICMP, and no other port can be used": (
        asked(),
        {587: UNREACHABLE, 2525: REFUSED},
        stage("tcp", "No route to host"),
        ("port-forbidden", None),
    ),
    "every port turned away is no firewall's choice": (
        asked(),
        dict.fromkeys((25, 465, 587, 2525), UNREACHABLE),
        stage("tcp", "No route to host"),
        ("network-unreachable", None),
    ),
    "all usual ports are redirected to one proxy, and 2525 is not": (
        asked(),
        {25: PROXY, 465: PROXY, 587: PROXY, 2525: SMTP},
        stage("tls", "certificate verify failed: Hostname mismatch"),
        ("smtp-intercepted", Way(2525, "starttls")),
    ),
    "the proxy is no way out": (
        asked(),
        {25: PROXY, 587: PROXY, 2525: SMTP | {"offers": ()}},
        stage("tls", "certificate verify failed: Hostname mismatch"),
        ("smtp-intercepted", None),
    ),
    "one name on all ports is the provider's, whoever it is": (
        asked(),
        {587: PROXY, 2525: PROXY},
        stage("tls", "certificate verify failed: Hostname mismatch"),
        ("certificate-name-mismatch", None),
    ),
    "an issuer nobody trusts is the same on every port": (
        asked(),
        {587: SMTP, 2525: SMTP},
        stage("tls", "certificate verify failed: self-signed certificate in certificate chain"),
        ("certificate-not-trusted", None),
    ),
    "a provider that says it is busy says so on its other ports": (
        asked(),
        {465: TLS, 587: SMTP, 2525: SMTP},
        stage("greeting", "421 4.7.0 Try again later, closing connection."),
        ("closing-for-now", None),
    ),
    "a provider that wants no mail wants none on its other ports": (
        asked(),
        {465: TLS, 587: {"state": "open", "greeting": "554 5.7.1 No SMTP service here"}, 2525: SMTP},
        stage("greeting", "554 5.7.1 No SMTP service here"),
        ("no-mail-from-here", None),
    ),
    "a web page answers, and TLS alone says nothing of mail": (
        asked(),
        {465: TLS, 587: {"state": "open", "greeting": "HTTP/1.1 400 Bad Request"}},
        stage("greeting", "The answer is not SMTP: HTTP/1.1 400 Bad Request"),
        ("not-a-mail-server", None),
    ),
    "a web page answers, and a mail server on another port": (
        asked(),
        {587: {"state": "open", "greeting": "HTTP/1.1 400 Bad Request"}, 2525: SMTP},
        stage("greeting", "The answer is not SMTP: HTTP/1.1 400 Bad Request"),
        ("not-a-mail-server", Way(2525, "starttls")),
    ),
    "says nothing, and another port greets": (
        asked(),
        {587: {"state": "open"}, 2525: SMTP},
        stage("greeting", "no greeting within 10 s"),
        ("greeting-timed-out", Way(2525, "starttls")),
    ),
    "no encryption there, and no other port that has some": (
        asked(),
        {465: {"state": "open"}, 587: SMTP | {"offers": ("PIPELINING",)}},
        stage("tls", "STARTTLS not offered. The server offers: PIPELINING"),
        ("tls-not-offered", None),
    ),
    "no encryption there, and another port that has some": (
        asked(),
        {587: SMTP | {"offers": ("PIPELINING",)}, 2525: SMTP},
        stage("tls", "STARTTLS not offered. The server offers: PIPELINING"),
        ("tls-not-offered", Way(2525, "starttls")),
    ),
    "the sign-in is offered behind encryption only": (
        asked(tls="none"),
        {587: SMTP},
        stage("auth", "The server offers no sign-in. It offers: STARTTLS"),
        ("no-sign-in-offered", Way(587, "starttls")),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_verdict_and_the_port_to_use_instead(case):
    way, ports, blocker, expected = CASES[case]
    verdict = judge(way, seen(ports), blocker)
    assert (verdict and (verdict.slug, verdict.way)) == expected
    if verdict:
        assert causes.get(verdict.slug), verdict.slug
        assert verdict.cause.endswith(".") and verdict.fix.endswith(".") and "!" not in verdict.cause + verdict.fix


@pytest.mark.parametrize(
    "words, slug",
    [("Name or service not known", "name-unknown"), ("Temporary failure in name resolution", "name-not-resolved")],
)
def test_a_name_without_address(words, slug):
    assert judge(asked(), (), stage("name", words), words).slug == slug


def test_a_missing_ipv6_does_not_hide_what_ipv4_says():
    six = seen(dict.fromkeys((587, 2525), {"state": "unreachable", "words": "Network is unreachable"}), SIX)
    assert judge(asked(), six + seen({587: SILENT, 2525: SILENT}), TCP).slug == "all-ports-timed-out"
    assert judge(asked(), six + seen({587: UNREACHABLE, 2525: SMTP}), TCP).slug == "port-forbidden"


def test_a_host_with_ipv6_alone_is_told_as_such():
    six = seen(dict.fromkeys((587, 2525), {"state": "unreachable", "words": "Network is unreachable"}), SIX)
    verdict = judge(asked(), six, stage("tcp", "Network is unreachable"))
    assert (verdict.slug, verdict.way) == ("ipv6-unreachable", None)
    assert verdict.cause == f"{HOST} has only IPv6 addresses (the newer kind), and this server has no way to them."


def test_where_the_mode_is_right_nobody_is_sent_to_change_it():
    mute = seen({587: {"state": "open"}, 2525: {"state": "open"}})
    verdict = judge(asked(), mute, stage("greeting", "no greeting within 10 s"))
    assert "587" in verdict.cause and "465" not in verdict.fix and "TLS" not in verdict.cause + verdict.fix


def test_who_misses_encryption_is_not_sent_to_the_port_it_was_missed_on():
    bare = seen({587: SMTP | {"offers": ("PIPELINING",)}})
    verdict = judge(asked(), bare, stage("tls", "STARTTLS not offered. The server offers: PIPELINING"))
    assert "587" in verdict.cause and "587" not in verdict.fix


def test_a_refusal_to_talk_that_gives_no_reason_is_told_as_one():
    deaf = seen({587: {"state": "open", "greeting": "554 5.7.1 Go away"}})
    verdict = judge(asked(), deaf, stage("greeting", "554 5.7.1 Go away"))
    assert verdict.slug == "family-policy" and "refuses to talk" in verdict.cause and "IP address" in verdict.fix


def test_one_family_that_answers_is_enough():
    both = seen({587: SILENT}, SIX) + seen({587: SMTP})
    assert judge(asked(), both, None) is None


def test_a_dead_ipv6_is_told_and_a_missing_one_is_not():
    four = seen({587: SMTP})
    assert report.notes(asked(), four + seen({587: SILENT}, SIX))
    assert not report.notes(asked(), four + seen({587: {"state": "unreachable"}}, SIX))
    assert not report.notes(asked(), four + seen({587: SMTP}, SIX))

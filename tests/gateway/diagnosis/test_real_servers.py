"""Every bad provider and every kind of block, from a real server, through the panel's own doors."""

import pytest

from gateway import diagnosing, sending, smarthosts
from gateway.values import Values
from servers.jobs.models import Job, JobLine, Status
from tests.fleet.faults import CLOSED_HOST, FAULTS
from tests.gateway.test_main_job import account, enrol, run, values, want  # noqa: F401 - account is a fixture

pytestmark = [pytest.mark.fleet, pytest.mark.django_db(transaction=True)]

CAUSES = {
    "badlogin": "credentials-wrong",
    "basicauthoff": "m365-password-sign-in-ended",
    "authlater": "sign-in-unavailable",
    "authrequired": "no-sign-in-offered",
    "overquota": "google-daily-limit",
    "expired": "certificate-expired",
    "wrongname": "certificate-name-mismatch",
    "untrusted": "certificate-not-trusted",
    "nostarttls": "tls-not-offered",
    "brokentls": "tls-broken-off",
    "silent": "greeting-timed-out",
    "busy": "closing-for-now",
    "refuses": "no-mail-from-here",
}
REFUSED = {(Status.FAILED, "sender"), (Status.FAILED, "credentials")}
# What these refuse is said only to a message, and a diagnosis sends none.
FINE = ("unverified", "sendasdenied", "throttled", "slow", "loses")


@pytest.fixture
def enrolled(server, administrator, monkeypatch):
    monkeypatch.setattr(diagnosing, "PATIENCE", 4)
    return enrol(server)


@pytest.fixture
def diagnose(enrolled, administrator):
    def asked(new) -> Job:
        row = smarthosts.own(enrolled, new, by=administrator, known=None)
        return run("diagnose", enrolled, administrator, smarthost=str(row.pk))

    return asked


def test_each_bad_provider_gets_its_cause(diagnose, provider, bad_provider):
    for fault, cause in CAUSES.items():
        job = diagnose(values(provider, host=FAULTS[fault].host))
        assert (job.status, job.cause) == (Status.FAILED, cause), (fault, job.outcome, job.result)
        assert job.outcome and job.hint and job.result["diagnosis"]["ports"], fault
    for fault in FINE:
        job = diagnose(values(provider, host=FAULTS[fault].host))
        assert job.status == Status.SUCCEEDED, (fault, job.outcome, job.result)


def test_blocked_ports_are_told_from_hosts_that_are_down(diagnose, server, account, provider):  # noqa: F811
    fine = diagnose(values(provider))
    assert fine.status == Status.SUCCEEDED, (fine.outcome, fine.result)
    assert [stage["name"] for stage in fine.result["diagnosis"]["stages"]][-1] == "rcpt_to"
    assert fine.result["port_587"] == "open" and not account.ledger()

    server.drop(587, direction="out")
    dropped = diagnose(values(provider))
    assert dropped.cause == "port-blocked-other-open", (dropped.outcome, dropped.result)
    assert dropped.result["diagnosis"]["instead"]["port"] == 2525
    assert dropped.result["port_587"] == "silent" and dropped.result["port_2525"] == "open"
    instead = diagnose(values(provider, port=2525))
    assert instead.status == Status.SUCCEEDED, instead.outcome

    server.unblock()
    server.reject(587, direction="out")
    rejected = diagnose(values(provider))
    assert rejected.cause == "connection-refused" and rejected.result["diagnosis"]["instead"]["port"] == 2525

    server.unblock()
    for port in (25, 465, 587, 2525, 2587):
        server.drop(port, direction="out")
    assert diagnose(values(provider)).cause == "all-ports-timed-out"

    server.unblock()
    closed = diagnose(values(provider, host=CLOSED_HOST))
    assert closed.cause == "connection-refused" and "instead" not in closed.result["diagnosis"]
    unknown = diagnose(values(provider, host="no-such-host.provider.test"))
    assert (unknown.cause, unknown.result["diagnosis"]["ports"]) == ("name-unknown", []), unknown.result


def test_without_forwarding_and_with_postfix_installed(diagnose, server, enrolled, account, provider, administrator):  # noqa: F811
    want(enrolled, values(provider), administrator)
    installed = run("install", enrolled, administrator)
    assert installed.status == Status.SUCCEEDED, installed.outcome
    server.forbid_forwarding()
    job = run("diagnose", enrolled, administrator)
    found = job.result["diagnosis"]
    assert job.status == Status.SUCCEEDED, (job.outcome, found)
    assert found["stages"][-1]["name"] == "path" and found["stages"][-1]["state"] == "ok", found["stages"]
    assert "own tools" in found["way"]


def test_all_doors_name_a_block_alike(diagnose, server, enrolled, account, provider, administrator, monkeypatch):  # noqa: F811
    monkeypatch.setattr(sending, "WAIT", 4)
    want(enrolled, values(provider), administrator)
    assert run("install", enrolled, administrator).status == Status.SUCCEEDED
    server.reject(587, direction="out")
    told = [
        diagnose(values(provider)),
        run("test", enrolled, administrator, recipient="somebody@example.net", mail={}),
    ]
    want(enrolled, values(provider, sending_domain="mail.example.org"), administrator)
    told.append(run("install", enrolled, administrator))
    assert {(job.cause, job.hint) for job in told} == {("connection-refused", told[0].hint)}, [j.outcome for j in told]
    assert all(told[0].outcome in job.outcome for job in told), [job.outcome for job in told]
    assert {job.result["diagnosis"]["instead"]["port"] for job in told} == {2525}

    server.unblock()
    server.drop(587, direction="out")
    server.run("postsuper -d ALL; postfix reload", check=False)
    dropped = run("test", enrolled, administrator, recipient="somebody@example.net", mail={})
    assert dropped.cause == "port-blocked-other-open", (dropped.outcome, dropped.result)
    # An address is hidden together with the name beside it, so it never stands alone.
    named = JobLine.objects.get(job=dropped, text__startswith="Name lookup: ok. ")
    assert f"{provider.host} [" in named.text


def test_what_the_provider_says_to_a_recipient_stops_an_install(enrolled, server, account, administrator):  # noqa: F811
    """A sender it does not allow, or no sign-in at all: it waits with that until it is told of a recipient."""
    foreign = values(account, sending_domain="other.example")
    for new in (Values(host=account.host, sending_domain="example.org"), foreign):
        want(enrolled, new, administrator)
        job = run("install", enrolled, administrator)
        assert (job.status, job.result["explanation"]["area"]) in REFUSED, (job.outcome, job.result)
        assert job.outcome.startswith(f"The check at {account.host} failed, so nothing was changed: "), job.outcome
        assert not server.exists("/usr/sbin/postfix")

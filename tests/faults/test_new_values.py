"""New values for a gateway that works: whatever is wrong with them, the old ones stay in force and mail goes on."""

import json
import uuid
from html import unescape

import pytest

from servers.remote.secret import MASK
from tests.faults.conftest import accepted_tests, add_server, do
from tests.faults.visitor import Visitor
from tests.faults.watch import Records, until
from tests.fleet.faults import CLOSED_HOST
from tests.fleet.fleet import ACCOUNT

pytestmark = pytest.mark.fleet
NAME = "working"
# fault: its cause, some of the words that were heard, some of what to do
BAD = {
    "expired": ("certificate-expired", "certificate has expired", "renew its certificate"),
    "wrongname": ("certificate-name-mismatch", "Hostname mismatch", "provider's own host name"),
    "untrusted": ("certificate-not-trusted", "certificate verify failed", "ca-certificates"),
    "nostarttls": ("tls-not-offered", "STARTTLS not offered", "a port with encryption"),
    "authrequired": ("sign-in-missing", "530 5.7.0 Authentication Required", "user name and password"),
    "basicauthoff": ("m365-password-sign-in-ended", "535 5.7.139", "connector without a password"),
    "closed": ("connection-refused", "Connection refused", "Check the name and port"),
    "busy": ("closing-for-now", "421 4.7.0", "ask the provider"),
}


@pytest.fixture(scope="module")
def working(panel, fleet, pool):
    """A server whose gateway works, for this module."""
    fleet.provider.restore()
    with pool.lend("debian12") as server:
        add_server(panel, server, NAME)
        (job,) = do(panel, "gateway", "install", NAME)
        assert job["status"] == "succeeded", job
        yield server


@pytest.fixture(scope="module")
def anna(panel):
    return Visitor(panel, "anna@example.org", "administrator")


def digest(server) -> str:
    """Of every name, right and byte of Postfix's configuration, and of what the gateway keeps beside it."""
    told = """sh -c 'stat -c "%n %a %U %Y" "$@"; sha256sum "$@"' sh"""
    kept = "find /etc/postfix /var/lib/fleetpost/gateway -type f"
    return server.run(f"{kept} | sort | xargs -d '\n' {told}").stdout


def test_a_wrong_password_from_the_command_line(panel, working, fleet):
    before = digest(working)
    panel.manage(
        *("smarthost", "add", "Wrong", "--host", fleet.provider.host, "--username", ACCOUNT.login),
        *("--sending-domain", "example.org", "--password-stdin"),
        typed="not-the-password\n",
    )
    (job,) = do(panel, "gateway", "reinstall", NAME, "--smarthost", "Wrong")
    assert (job["status"], job["changed"]) == ("failed", False), job
    assert "535" in job["result"]["evidence"], job
    assert job["result"]["explanation"]["area"] == "credentials"
    assert [step["status"] for step in job["steps"]] == ["unchanged", "failed"], "looked, proved, and stopped there"
    assert digest(working) == before
    (status,) = json.loads(panel.manage("gateway", "status", NAME, "--json"))["servers"]
    assert status["state"] == "working", status
    accepted_tests(panel, fleet.provider, NAME)


@pytest.mark.parametrize("fault", BAD)
def test_values_that_cannot_work_change_nothing(panel, records: Records, anna, working, fleet, bad_provider, fault):
    before = digest(working)
    host = CLOSED_HOST if fault == "closed" else bad_provider.host(fault)
    # One letter: hiding it must not eat the words of the explanation. A provider that asks for a login is given none.
    login = {} if fault == "authrequired" else {"username": "shop", "password": "e"}
    typed = {"name": fault, "host": host, "port": "587", "verify_certificate": "on", "sending_domain": "example.org"}
    anna.post("/settings/gateway/add/?preset=generic", **typed, **login)
    (row,) = records.ask("select id from gateway_smarthost where name = ?", fault)
    services = f"{records.page_of(NAME)}services/"
    _, where, _ = anna.post(f"{services}gateway/install/", form_on=services, provider=f"shared:{uuid.UUID(row['id'])}")
    job = records.wait(int(where.rstrip("/").rpartition("/")[2]), "succeeded", "failed", "errored", "cancelled")
    cause, words, fix = BAD[fault]
    assert (job["status"], job["changed"], job["cause"]) == ("failed", 0, cause), job
    page = unescape(anna.get(f"/jobs/{job['id']}/")[2])
    assert words in page
    assert fix in job["hint"]
    assert job["outcome"] in page and job["hint"] in page
    assert MASK not in job["outcome"] + job["hint"]
    assert digest(working) == before
    mail_flows(working, fleet.provider, f"still here after {fault}")


def mail_flows(server, provider, subject: str) -> None:
    """By the server's own sendmail, as its programs send."""
    server.run(["sendmail", "-f", "shop@example.org", "inbox@provider.test"], input=f"Subject: {subject}\n\nhello\n")
    until(lambda: subject in [mail["Subject"] for mail in provider.messages()], f"the mail “{subject}” arrives")

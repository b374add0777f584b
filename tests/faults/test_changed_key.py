"""A server that suddenly shows another host key."""

import json

import pytest

from tests.faults import hold
from tests.faults.conftest import accepted_tests, add_server, ask, do
from tests.faults.look import done_once, sessions
from tests.faults.visitor import Visitor
from tests.faults.watch import Records, Witness, unfinished, until

pytestmark = pytest.mark.fleet


def sign_ins(server) -> int:
    """Attempts the real sshd has seen, good or bad."""
    log = server.run(["journalctl", "-u", "ssh", "--no-pager", "-o", "cat"]).stdout.splitlines()
    return sum(line.startswith(("Accepted ", "Failed ", "Connection closed by authenticating")) for line in log)


@pytest.fixture(scope="module")
def anna(panel):
    return Visitor(panel, "keys@example.org", "administrator")


def test_a_changed_host_key_stops_everything_until_a_person_accepts_it(panel, records: Records, anna, server, provider):
    add_server(panel, server, "swapped")
    (checked,) = do(panel, "fleet", "check", "swapped")
    assert checked["status"] == "succeeded", checked
    attempts = sign_ins(server)
    assert attempts
    new = server.replace_host_key().fingerprint

    (first,) = do(panel, "gateway", "install", "swapped")
    assert (first["status"], first["changed"], first["steps"][-1]["status"]) == ("failed", False, "failed"), first
    row = records.job(first["id"])
    assert row["cause"] == "host-key-changed"
    assert row["hint"]
    assert records.server("swapped")["reach"] == "key-changed"
    (again,) = do(panel, "gateway", "preview", "swapped")
    assert again["status"] == "failed"
    assert sign_ins(server) == attempts, "nobody was asked for a sign-in"
    assert not server.exists("/var/lib/fleetpost")
    assert new in str(records.ask("select detail from access_auditentry where verb like 'saw a changed host key%'"))

    front = anna.get("/")[2]
    assert "swapped" in front and "Needs you" in front
    page = records.page_of("swapped")
    assert new in anna.get(page)[2]
    anna.post(f"{page}host-key/accept/", form_on=page, fingerprint=new)
    (after,) = do(panel, "gateway", "preview", "swapped")
    assert after["status"] == "succeeded", after
    assert json.loads(panel.manage("fleet", "show", "swapped", "--json"))["reach"] != "key-changed"
    assert sign_ins(server) > attempts


def test_a_key_changed_in_the_middle_of_an_install_is_no_failure(panel, records: Records, anna, server, provider):
    """The work goes on where it was handed to; nobody signs in to look until a person has accepted the key, and then
    at once."""
    hold.arm(server, held="packages")
    add_server(panel, server, "midway")
    with Witness(panel, {"midway": server}) as witness:
        (number,) = ask(panel, "gateway", "install", "midway")
        hold.wait_held(server, "packages")
        new, attempts = server.replace_host_key().fingerprint, sign_ins(server)
        server.run(["kill", "-KILL", *sessions(server)])
        lost = records.wait(number, "lost-contact", "failed", "errored")
        assert lost["cause"] == "host-key-changed"
        assert records.server("midway")["reach"] == "key-changed"
        hold.release(server, "packages")
        until(lambda: not unfinished(server), "the server ends its work by itself")
        assert records.job(number)["status"] == "lost-contact"
        assert sign_ins(server) == attempts
        page = records.page_of("midway")
        anna.post(f"{page}host-key/accept/", form_on=page, fingerprint=new)
        records.wait(number, "succeeded", "failed", "errored")
    assert witness.lies == []
    assert witness.seen[number][-1] == "succeeded", records.job(number)
    done_once(records, number, server)
    accepted_tests(panel, provider, "midway")

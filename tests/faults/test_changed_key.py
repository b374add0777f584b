"""A server that suddenly shows another host key."""

import json

import pytest

from tests.faults.conftest import add_server, do
from tests.faults.visitor import Visitor
from tests.faults.watch import Records

pytestmark = pytest.mark.fleet


def sign_ins(server) -> int:
    """Attempts the real sshd has seen, good or bad."""
    log = server.run(["journalctl", "-u", "ssh", "--no-pager", "-o", "cat"]).stdout.splitlines()
    return sum(line.startswith(("Accepted ", "Failed ", "Connection closed by authenticating")) for line in log)


def test_a_changed_host_key_stops_everything_until_a_person_accepts_it(panel, records: Records, server, provider):
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

    anna = Visitor(panel, "keys@example.org", "administrator")
    front = anna.get("/")[2]
    assert "swapped" in front and "Needs you" in front
    page = records.page_of("swapped")
    assert new in anna.get(page)[2]
    anna.post(f"{page}host-key/accept/", form_on=page, fingerprint=new)
    (after,) = do(panel, "gateway", "preview", "swapped")
    assert after["status"] == "succeeded", after
    assert json.loads(panel.manage("fleet", "show", "swapped", "--json"))["reach"] != "key-changed"
    assert sign_ins(server) > attempts

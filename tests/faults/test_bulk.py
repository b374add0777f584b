"""Twelve servers at once: a sick one costs only itself, and what failed is done again without touching the rest."""

import json
from contextlib import ExitStack

import pytest

from tests.faults.conftest import accepted_tests, add_server, do
from tests.faults.visitor import Visitor
from tests.faults.watch import Records, until
from tests.fleet.fleet import ACCOUNT

pytestmark = pytest.mark.fleet
COUNT = 12
DEAD, CHANGED, LOCKED = "bulk-01", "bulk-02", "bulk-03"
# As apt and dpkg lock: fcntl, not flock. The struct is that of 64-bit Linux.
HOLD_DPKG = """
setsid perl -MFcntl -e '
    open my $file, ">>", "/var/lib/dpkg/lock-frontend" or die;
    my $lock = pack("s s x4 q q i", F_WRLCK, 0, 0, 0, 0);
    fcntl($file, F_SETLK, $lock) or die;
    $0 = "another-apt"; sleep' >/dev/null 2>&1 &
"""
TAG = ("--tag", "bulk")


@pytest.fixture(scope="module")
def dozen(panel, fleet, pool):
    """Twelve fresh servers under the tag "bulk", by their names in the panel."""
    fleet.provider.restore()
    with ExitStack() as lent:
        servers = {f"bulk-{n:02}": lent.enter_context(pool.lend("debian12")) for n in range(1, COUNT + 1)}
        for name, server in servers.items():
            add_server(panel, server, name)
        panel.manage("fleet", "tag", "bulk", *servers)
        yield servers


def states(jobs: list[dict]) -> dict[str, str]:
    return {job["server"]: job["status"] for job in jobs}


def batch_of(records: Records, job: dict) -> int:
    return records.job(job["id"])["batch_id"]


def untouched(servers: dict, *names: str) -> dict[str, str]:
    """What Postfix is configured to do on these servers, byte for byte."""
    command = "find /etc/postfix /var/lib/fleetpost/gateway -type f | sort | xargs sha256sum"
    return {name: servers[name].run(command).stdout for name in names}


def test_a_dead_a_changed_and_a_locked_server_cost_only_themselves(panel, records, dozen, fleet):
    dozen[DEAD].go_silent()
    new_key = dozen[CHANGED].replace_host_key()
    dozen[LOCKED].run(HOLD_DPKG)
    until(lambda: dozen[LOCKED].run(["pgrep", "another-apt"], check=False).returncode == 0, "the lock is held")
    asked = json.loads(panel.manage("gateway", "install", *TAG, "--json"))
    jobs = {job["server"]: job["id"] for job in asked["jobs"]}
    assert set(jobs) == set(dozen)

    ended = {name: records.wait(jobs[name], "succeeded", "failed") for name in dozen if name != LOCKED}
    assert records.job(jobs[LOCKED])["status"] == "running", "it waits for the package manager, and nobody for it"
    failed = {name: job["cause"] for name, job in ended.items() if job["status"] == "failed"}
    assert failed == {DEAD: "connect-timeout", CHANGED: "host-key-changed"}
    dozen[LOCKED].run(["pkill", "another-apt"])
    assert records.wait(jobs[LOCKED], "succeeded", "failed")["status"] == "succeeded"

    # Mended, then only the two that failed are asked again.
    dozen[DEAD].unblock()
    page = records.page_of(CHANGED)
    anna = Visitor(panel, "bulk@example.org", "administrator")
    anna.post(f"{page}host-key/accept/", form_on=page, fingerprint=new_key.fingerprint)
    again = do(panel, "fleet", "retry", str(batch_of(records, asked["jobs"][0])))
    assert states(again) == {DEAD: "succeeded", CHANGED: "succeeded"}, again
    accepted_tests(panel, fleet.provider, *dozen)


def test_cancelled_half_way_what_has_begun_ends_and_the_rest_can_be_retried(panel, records, dozen):
    asked = json.loads(panel.manage("gateway", "check", *TAG, "--at-once", "1", "--json"))
    batch = batch_of(records, asked["jobs"][0])
    query = "select status, count(*) as n from jobs_job where batch_id = ? group by status"

    def counts() -> dict[str, int]:
        return {row["status"]: row["n"] for row in records.ask(query, batch)}

    until(lambda: counts().get("succeeded", 0) >= 2, "two of twelve are done")
    panel.manage("fleet", "cancel", f"{batch}", codes=(0, 1))
    until(lambda: not {"queued", "running"} & set(counts()), "nothing of the batch is live")
    ended = counts()
    assert set(ended) == {"succeeded", "cancelled"} and sum(ended.values()) == COUNT, ended

    again = do(panel, "fleet", "retry", str(batch))
    assert len(again) == ended["cancelled"]
    assert set(states(again).values()) == {"succeeded"}, again


def test_a_canary_that_fails_leaves_everybody_else_alone(panel, records, dozen, fleet):
    before = untouched(dozen, *dozen)
    said = panel.manage(
        *("smarthost", "rotate", "Main", "--password-stdin", "--roll-out", "--wait", "--json"),
        typed="not-the-password\n",
        codes=(0, 1),
    )
    jobs = json.loads(said)["jobs"]
    ended = [records.job(job["id"]) for job in jobs if job["server"] in dozen]
    assert len(ended) == COUNT
    assert sorted({(job["status"], job["cause"]) for job in ended if job["started_at"]}) == [
        ("failed", ended_cause(ended))
    ]
    assert [job["started_at"] is not None for job in ended].count(True) == 1, "the canary alone was tried"
    assert {job["cause"] for job in ended if not job["started_at"]} == {"stopped"}
    assert untouched(dozen, *dozen) == before
    accepted_tests(panel, fleet.provider, *list(dozen)[:2])

    panel.manage("smarthost", "rollback", "Main", "--wait", codes=(0,))
    states_now = json.loads(panel.manage("gateway", "status", *TAG, "--json"))["servers"]
    assert {row["state"] for row in states_now} == {"working"}, states_now
    assert ACCOUNT.password not in said


def ended_cause(jobs: list[dict]) -> str:
    """The cause the provider's 535 is known by."""
    (cause,) = {job["cause"] for job in jobs if job["started_at"]}
    assert "535" in json.dumps([job["result"] for job in jobs])
    return cause

"""What a server and the panel tell about one install, seen from outside."""

from tests.faults import hold
from tests.faults.watch import Records, journals
from tests.fleet.server import FleetServer

INSTALLED = ["keep", "packages", "maps", "check", "configure", "service", "probe", "tidy"]


def sessions(server: FleetServer) -> list[str]:
    """Process ids, inside the server, of the panel's sign-ins."""
    found = server.run(["pgrep", "-f", "^sshd(-session)?: root@"], check=False)
    return found.stdout.split()


def done_once(records: Records, number: int, server: FleetServer) -> None:
    """One run on the server, each step in it and in the panel's record once, nobody at work there any more."""
    (journal,) = journals(server)
    begun = [line.split()[0] for line in journal if line.split()[0] in ("begin", "recover", "undo", "done")]
    assert begun == ["begin", "done"], journal
    assert [line.split()[3] for line in journal if line.startswith("step ")] == INSTALLED
    assert records.steps(number, on_server=True) == [(slug, "changed") for slug in INSTALLED]
    assert (hold.passed(server, "packages"), hold.passed(server, "start")) == (1, 1)
    server.run(["flock", "--nonblock", "/var/lib/fleetpost/lock", "true"])

"""The main job on real input: `make demo` boots servers and a provider, enrols them and leaves the panel to play with;
`make demo ONCE=1` does the whole job by itself and says whether every message reached the provider's mailbox.

Servers, provider and names live on a bridge of their own; see tests/fleet/README.md.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.fleet.fleet import ACCOUNT, Fleet
from tests.fleet.host import FleetError, obstacles
from tests.panel import Panel, PanelError
from tests.ports import free_port

DISTROS = ("debian12", "ubuntu2404")
SENDER = "demo@example.org"
RECIPIENT = "inbox@provider.test"
TAG = "demo"


def enrol(panel: Panel, fleet: Fleet) -> None:
    """Adds every server with its host key pinned by fingerprint, checks it, and stores the provider as the default."""
    key = str(fleet.directory / "id_ed25519")
    for server in fleet.servers:
        panel.manage(
            *("fleet", "add", server.name, str(server.address), "--key", key),
            *("--host-key", server.fingerprint, "--tag", TAG),
        )
    panel.manage("fleet", "check", "--tag", TAG, "--wait")
    panel.manage(
        *("smarthost", "add", "Demo provider", "--preset", "generic", "--host", fleet.provider.host),
        *("--port", "587", "--tls", "starttls", "--username", ACCOUNT.login, "--password-stdin"),
        *("--sending-domain", "example.org", "--default"),
        typed=ACCOUNT.password + "\n",
    )


def install_and_test(panel: Panel, names: list[str]) -> tuple[dict, dict]:
    install = json.loads(panel.manage("gateway", "install", *names, "--wait", "--json", codes=(0, 1)))
    test = json.loads(
        panel.manage(
            *("gateway", "test", *names, "--from", SENDER, "--to", RECIPIENT, "--wait", "--json"), codes=(0, 1)
        )
    )
    return install, test


def report(console: Console, install: dict, test: dict) -> None:
    steps = {job["server"]: [step["status"] for step in job["steps"]] for job in install["jobs"]}
    table = Table("server", "steps", "queue ID", "delivery", "provider's reply", title="Main job")
    for job in test["jobs"]:
        done = steps.get(job["server"], [])
        counted = f"{done.count('changed')} changed, {len(done)} in all"
        result = job["result"]
        table.add_row(
            job["server"],
            counted,
            result.get("queue_id") or "–",
            result.get("delivery") or job["status"],
            result.get("reply") or job["outcome"],
        )
    console.print(table)
    for job in install["jobs"] + test["jobs"]:
        if job["status"] != "succeeded":
            console.print(f"{job['server']}: {job['action']}: {job['outcome']}", style="red", markup=False)


def every_message_arrived(fleet: Fleet, test: dict) -> bool:
    """The provider's own mailbox is the witness, not what the panel says."""
    queue_ids = {job["result"].get("queue_id") for job in test["jobs"]}
    mails = fleet.provider.wait_for_messages(len(test["jobs"]), seconds=20)
    trace = [" ".join(mail.get_all("Received", [])) for mail in mails]
    return None not in queue_ids and all(any(str(queue_id) in line for line in trace) for queue_id in queue_ids)


def run_once(console: Console, fleet: Fleet, panel: Panel) -> bool:
    enrol(panel, fleet)
    install, test = install_and_test(panel, [server.name for server in fleet.servers])
    report(console, install, test)
    accepted = all(job["status"] == "succeeded" for job in install["jobs"] + test["jobs"])
    if accepted and every_message_arrived(fleet, test):
        console.print(f"All {len(fleet.servers)} messages reached the provider's mailbox.", style="green")
        return True
    return False


def play(console: Console, fleet: Fleet, panel: Panel) -> bool:
    """Does the job on all servers but the last, which is left for the person, and waits for Ctrl-C."""
    enrol(panel, fleet)
    ready = [server.name for server in fleet.servers[:-1]]
    if ready:
        report(console, *install_and_test(panel, ready))
    last = fleet.servers[-1].name
    console.print(f"\nOpen the panel (the link works once): {panel.sign_in_link()}", soft_wrap=True)
    console.print(
        f"{last} waits for you: its Services tab, Load defaults, Install email gateway, then a test from {SENDER}."
    )
    console.print(f"Provider: {fleet.provider.host}, user {ACCOUNT.login}, password {ACCOUNT.password}", markup=False)
    console.print("Ctrl-C removes everything again.")
    panel.process.wait()
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument("--servers", type=int, default=3)
    parser.add_argument("--once", action="store_true")
    chosen = parser.parse_args()
    console = Console()
    if reasons := obstacles():
        console.print("The demo boots real servers and cannot here: " + "; ".join(reasons), markup=False)
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    data = Path(tempfile.mkdtemp(prefix="fleetpost-demo-")) / "var"
    panel = None
    try:
        console.print(f"Booting {chosen.servers} servers and a provider (the first time builds their images).")
        with Fleet("demo", [DISTROS[at % len(DISTROS)] for at in range(chosen.servers)]) as fleet:
            panel = Panel(data, free_port(rather=8000))
            panel.wait_until_up()
            done = run_once(console, fleet, panel) if chosen.once else play(console, fleet, panel)
        return 0 if done else 1
    except KeyboardInterrupt:
        return 0 if not chosen.once else 130
    except (PanelError, FleetError) as problem:
        console.print(f"The demo failed: {problem}", style="red", markup=False)
        return 1
    finally:
        if panel is not None:
            panel.stop()
        shutil.rmtree(data.parent, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

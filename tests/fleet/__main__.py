"""python -m tests.fleet up|down|status|build|requirements"""

import argparse
import shlex
import sys
import time

from tests.fleet import cgroups, images
from tests.fleet.fleet import ACCOUNT, Fleet, tear_down
from tests.fleet.host import REQUIREMENTS, FleetError
from tests.fleet.labels import is_held, labels, state_of
from tests.fleet.recipe import DISTROS


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fleet", description="Throw-away servers on this machine.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="start a fleet and leave it running")
    up.add_argument("--label", default="demo")
    up.add_argument("--servers", type=int, default=3)
    up.add_argument("--distro", nargs="+", default=["debian12"], choices=DISTROS, help="dealt out in turn")
    down = verbs.add_parser("down", help="remove a fleet and whatever a crash left of it")
    down.add_argument("--label", default="demo")
    down.add_argument("--all", action="store_true", help="every fleet that no running process holds")
    down.add_argument("--force", action="store_true", help="also one that a running process holds")
    verbs.add_parser("status", help="list fleets and their servers")
    build = verbs.add_parser("build", help="build base images now")
    build.add_argument("distro", nargs="*", default=["debian12", "ubuntu2404"])
    verbs.add_parser("requirements", help="print the packages this machine needs")
    return parser


def show(fleet: Fleet) -> None:
    print(f"{fleet.label}: {fleet.place.net.subnet}, key {fleet.directory / 'id_ed25519'}")
    for server in fleet.servers:
        state = "running" if server.is_running else "stopped"
        print(f"  {server.fqdn}  {server.address}  {server.distro}  {state}  {server.fingerprint}")
    if fleet.servers:
        print("  ssh: " + shlex.join(fleet.servers[0].ssh_command()))
    provider = fleet.provider
    print(f"  {provider.host}  {provider.address}  587 465 2525  CA {fleet.directory / 'ca.pem'}")
    print(f"  login {ACCOUNT.login}  password {ACCOUNT.password}  senders {' '.join(ACCOUNT.senders)}")


def status() -> None:
    for label in labels():
        if state_of(label):
            show(Fleet.attach(label))
        else:
            print(f"{label}: incomplete, {len(cgroups.pids(label))} processes; remove with: down --label {label}")


def remove(chosen: list[str], *, force: bool) -> None:
    for label in chosen:
        if is_held(label) and not force:
            print(f"{label} belongs to a running process, such as a test run; it stays")
        else:
            tear_down(label)


def main(argv: list[str]) -> int:
    chosen = arguments().parse_args(argv)
    started = time.monotonic()
    try:
        match chosen.verb:
            case "up":
                distros = [chosen.distro[at % len(chosen.distro)] for at in range(chosen.servers)]
                show(Fleet(chosen.label, distros).up())
                print(f"  up in {time.monotonic() - started:.1f} s")
            case "down":
                remove(labels() if chosen.all else [chosen.label], force=chosen.force)
            case "status":
                status()
            case "build":
                images.build_all(chosen.distro)
            case "requirements":
                print(" ".join(sorted(REQUIREMENTS)))
    except FleetError as problem:
        print(f"fleet: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

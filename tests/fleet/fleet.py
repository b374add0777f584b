"""A fleet: servers, provider, bad providers, CA and names on one bridge, under one label.

    with Fleet("test", ["debian12", "ubuntu2404"]) as fleet:
        server = fleet.servers[0]

Everything a fleet has on this machine is found again by its label (control group, namespaces, bridge,
the tmpfs under RUN), so `tear_down` works after a crash and starting over sweeps first.
"""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from types import TracebackType
from typing import Self

from tests.fleet import cgroups, images, network, sshkeys
from tests.fleet.badhost import BadProvider
from tests.fleet.ca import Authority
from tests.fleet.faults import CLOSED_HOST, FAULTS
from tests.fleet.host import FleetError, obstacles, raise_limit, sh, unmount_under
from tests.fleet.images import Image
from tests.fleet.labels import RUN, state_of
from tests.fleet.machine import Place
from tests.fleet.network import Net
from tests.fleet.provider import Provider
from tests.fleet.provider_config import NAME, Account, Record
from tests.fleet.server import FleetServer
from tests.fleet.sshkeys import KeyPair

DEFAULT_DISTROS = ["debian12", "debian12", "debian12", "ubuntu2404"]
PROVIDER_ADDRESS, FIRST_SERVER, CLOSED_ADDRESS, FIRST_BAD = 2, 10, 209, 210
MOST_SERVERS = CLOSED_ADDRESS - FIRST_SERVER
ACCOUNT = Account("fleet@example.org", "p$a\"s:s'w\\o%r d-é", ("@example.org", "@fleet.test"))


class Fleet:
    """Context manager; or up() and down() by hand. `servers` are web-1, web-2, … in the order asked for."""

    place: Place
    provider: Provider
    bad_provider: BadProvider
    authority: Authority
    key: KeyPair
    servers: list[FleetServer]

    def __init__(self, label: str = "test", distros: list[str] | None = None) -> None:
        self.label = label
        self.distros = DEFAULT_DISTROS if distros is None else distros
        self.directory = RUN / label
        if len(self.distros) > MOST_SERVERS:
            raise FleetError(f"at most {MOST_SERVERS} servers fit in one fleet")

    def __enter__(self) -> Self:
        try:
            return self.up()
        except BaseException:
            self.down()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def up(self) -> Self:
        if reasons := obstacles():
            raise FleetError("no fleet can run here: " + "; ".join(reasons))
        made = images.build_all(self.distros)
        tear_down(self.label)
        # Each systemd holds a few inotify instances; the default of 128 stops near twenty servers.
        raise_limit("fs/inotify/max_user_instances", 8192)
        self.directory.mkdir(parents=True)
        sh("mount", "-t", "tmpfs", "-o", "mode=0755,size=75%", f"fleetpost-{self.label}", self.directory)
        self.place = Place(self.label, self.directory, network.raise_bridge(self.label))
        self.key = sshkeys.generate()
        self.authority = Authority.create()
        self.lay_out(made)
        self.keep_secrets()
        self.start_all()
        self.write_state()
        return self

    def keep_secrets(self) -> None:
        files = {
            "id_ed25519": self.key.private,
            "id_ed25519.pub": self.key.public + "\n",
            "ca.pem": self.authority.pem,
            "ca.key": self.authority.key_pem,
        }
        for name, text in files.items():
            path = self.directory / name
            path.touch(mode=0o600)
            path.write_text(text)

    def lay_out(self, made: dict[str, Image]) -> None:
        subnet = self.place.net.subnet
        bad = {name: subnet[FIRST_BAD + at] for at, name in enumerate(FAULTS)}
        self.servers = [self.plan_server(at, distro, made[distro]) for at, distro in enumerate(self.distros)]
        self.bad_provider = BadProvider(self.place, bad, subnet[CLOSED_ADDRESS], self.authority)
        self.provider = Provider(
            self.place,
            made["provider"],
            subnet[PROVIDER_ADDRESS],
            certificate=self.authority.issue(NAME),
            records=self.records(),
            accounts=[ACCOUNT],
        )

    def plan_server(self, at: int, distro: str, image: Image) -> FleetServer:
        return FleetServer(
            self.place,
            f"web-{at + 1}",
            distro,
            image,
            self.place.net.subnet[FIRST_SERVER + at],
            key=self.key,
            nameserver=self.place.net.subnet[PROVIDER_ADDRESS],
            ca_pem=self.authority.pem,
        )

    def records(self) -> list[Record]:
        """The names of the fleet's own hosts."""
        addresses = {NAME: self.place.net.subnet[PROVIDER_ADDRESS], CLOSED_HOST: self.bad_provider.closed}
        addresses |= {server.fqdn: server.address for server in self.servers}
        addresses |= {FAULTS[name].host: address for name, address in self.bad_provider.addresses.items()}
        return [Record(name, "A", str(address)) for name, address in addresses.items()]

    def add_server(self, distro: str) -> FleetServer:
        """One more server, booted; its name is known to the fleet's DNS."""
        server = self.plan_server(len(self.servers), distro, images.image(distro))
        self.distros = [*self.distros, distro]
        self.servers.append(server)
        server.connect()
        server.boot()
        self.provider.own_records = self.records()
        self.provider.set_records(self.provider.own_records)
        self.write_state()
        return server

    def start_all(self) -> None:
        machines = [self.provider, *self.servers]
        for machine in machines:
            machine.connect()
        self.bad_provider.start()
        with ThreadPoolExecutor(max_workers=4) as pool:
            for done in [pool.submit(machine.boot) for machine in machines]:
                done.result()

    def down(self) -> None:
        """Remove it all, whatever became of it; a second time does nothing."""
        tear_down(self.label)

    def server(self, name: str) -> FleetServer:
        return next(server for server in self.servers if server.name == name)

    def write_state(self) -> None:
        used = {server.distro: server.image for server in self.servers} | {"provider": self.provider.image}
        state = {
            "subnet": str(self.place.net.subnet),
            "distros": self.distros,
            "images": {name: image.as_json() for name, image in used.items()},
        }
        (self.directory / "state.json").write_text(json.dumps(state))

    @classmethod
    def attach(cls, label: str) -> Self:
        """The running fleet of that label, from another process."""
        state = state_of(label)
        if state is None:
            raise FleetError(f"no fleet named {label} is running")
        self = cls(label, state["distros"])
        self.place = Place(label, self.directory, Net(label, IPv4Network(state["subnet"])))
        kept = {path.name: path.read_text() for path in self.directory.glob("*") if path.is_file()}
        self.key = KeyPair(kept["id_ed25519"], kept["id_ed25519.pub"].strip())
        self.authority = Authority.load(kept["ca.pem"], kept["ca.key"])
        self.lay_out({name: Image.from_json(image) for name, image in state["images"].items()})
        return self


def tear_down(label: str) -> None:
    """Remove everything of a fleet, whole or half dead; nothing there is fine too."""
    cgroups.kill(label)
    network.tear_down(label)
    directory = RUN / label
    unmount_under(directory)
    shutil.rmtree(directory, ignore_errors=True)

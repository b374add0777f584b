"""The host that plays bad providers: starts badprovider.py in its namespace and reads what it saw."""

import json
import subprocess
import sys
import time
from dataclasses import asdict
from ipaddress import IPv4Address
from pathlib import Path

from tests.fleet import cgroups, network
from tests.fleet.ca import Authority
from tests.fleet.faults import FAULTS
from tests.fleet.host import FleetError
from tests.fleet.machine import Place

HOST = "bad"
REPOSITORY = Path(__file__).parents[2]


class BadProvider:
    """`addresses` by fault name; each answers on 587 and 2525, and on 465 unless its STARTTLS is bad.
    At `closed` nothing listens."""

    def __init__(
        self, place: Place, addresses: dict[str, IPv4Address], closed: IPv4Address, authority: Authority
    ) -> None:
        self.place = place
        self.addresses = addresses
        self.closed = closed
        self.authority = authority
        self.home = place.directory / HOST

    def host(self, fault: str) -> str:
        """The name to configure as smarthost."""
        return FAULTS[fault].host

    def start(self) -> None:
        network.add_host(self.place.net, HOST, [*self.addresses.values(), self.closed])
        self.home.mkdir(parents=True)
        config = self.home / "config.json"
        config.write_text(json.dumps(self.config()))
        command = [
            *cgroups.launcher(self.place.label, HOST),
            *("ip", "netns", "exec", self.place.net.namespace(HOST)),
            *(sys.executable, "-m", "tests.fleet.badprovider", str(config)),
        ]
        log = self.home / "log"
        with open(log, "wb") as out:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd=REPOSITORY
            )
        deadline = time.monotonic() + 20
        while "ready" not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise FleetError(f"the bad providers did not start: {log.read_text()[-2000:]}")
            time.sleep(0.02)

    def config(self) -> dict[str, object]:
        names = [FAULTS[fault].host for fault in self.addresses]
        certificates = {
            "good": self.authority.issue(*names),
            "expired": self.authority.issue(*names, days=-3),
            "wrongname": self.authority.issue("other.provider.test"),
            "untrusted": Authority.create("Nobody's CA").issue(*names),
        }
        files = {}
        for kind, certificate in certificates.items():
            files[kind] = {}
            for part, text in asdict(certificate).items():
                path = self.home / f"{kind}.{part}.pem"
                path.write_text(text)
                files[kind][part] = str(path)
        hosts = {fault: str(address) for fault, address in self.addresses.items()}
        return {"hosts": hosts, "certificates": files, "record": str(self.home / "record.jsonl")}

    def seen(self, fault: str, event: str | None = None) -> list[dict[str, str]]:
        """What a bad provider saw, oldest first: events connect, tls, tls-failed, command, message."""
        record = self.home / "record.jsonl"
        entries = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
        return [entry for entry in entries if entry["fault"] == fault and event in (None, entry["event"])]

    def forget(self) -> None:
        (self.home / "record.jsonl").write_text("")

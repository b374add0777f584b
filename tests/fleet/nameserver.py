"""Real DNS on loopback: nsd with authority over zones, and unbound as the resolver that asks it and remembers.

    with Nameserver({"example.test": text}) as source, Resolver(source.port, {"example.test": SOURCE}) as resolver:
        source.publish("example.test", other)    # the resolver still has what it was told before
        resolver.forget()

All have addresses of their own in 127/8 and share one port, because a panel asks the name servers of a zone where it
asks its resolver. No root is needed; `missing()` says what is.
"""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rdatatype
import dns.resolver
import dns.zone

from tests.ports import free_port

RESOLVER, SOURCE, SECOND, SILENT, LAME = (f"127.77.53.{last}" for last in range(1, 6))
PROGRAMS = {"nsd": "/usr/sbin/nsd", "unbound": "/usr/sbin/unbound"}  # Debian package -> its program
_NSD = """server:
  ip-address: {address}@{port}
  zonesdir: "{home}"
  database: ""
  username: ""
  pidfile: "{home}/nsd.pid"
  xfrdfile: "{home}/xfrd"
  zonelistfile: "{home}/zones"
  server-count: 1
  do-ip6: no
  rrl-ratelimit: 0
remote-control:
  control-enable: no
"""
_UNBOUND = """server:
  interface: {address}@{port}
  access-control: 0.0.0.0/0 allow
  do-ip6: no
  do-not-query-localhost: no
  num-threads: 1
  username: ""
  chroot: ""
  directory: "{home}"
  pidfile: "{home}/unbound.pid"
  use-syslog: no
  logfile: "{home}/log"
  local-zone: "test." nodefault
  module-config: "validator iterator"
remote-control:
  control-enable: no
"""


class DnsError(RuntimeError):
    """A name server did not start, or did not take a zone; the message is its own."""


def missing() -> list[str]:
    """Debian packages that are not there."""
    return [package for package, program in PROGRAMS.items() if not shutil.which(program)]


class _Server:
    """A program in the foreground, with a folder of its own; it ends with the block, or with us."""

    def __init__(self, address: str, port: int) -> None:
        self.address, self.port = address, port
        self._process: subprocess.Popen | None = None
        self.home = Path(tempfile.mkdtemp(prefix="fleetpost-dns-"))

    def program(self, name: str) -> str:
        """A copy: systems with AppArmor let the installed unbound read nothing but its own folders."""
        return str(shutil.copy(PROGRAMS[name], self.home))

    def start(self) -> None:
        with (self.home / "out").open("wb") as out:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *self.command()], stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        self._until(lambda: self.ask("version.bind", "TXT", "CH") is not None)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(20)

    def command(self) -> list[str]:
        raise NotImplementedError

    def ask(self, name: str, kind: str, network: str = "IN") -> dns.message.Message | None:
        try:
            query = dns.message.make_query(f"{name}.", kind, network)
            return dns.query.udp(query, self.address, timeout=0.3, port=self.port)
        except (dns.exception.DNSException, OSError):
            return None

    def _until(self, condition, seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if self._process.poll() is not None or time.monotonic() > end:
                said = [file.read_text()[-1500:] for file in self.home.glob("*") if file.name in ("out", "log")]
                raise DnsError(" ".join([type(self).__name__, *said]))
            time.sleep(0.02)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error) -> None:
        self.stop()
        shutil.rmtree(self.home)


class Nameserver(_Server):
    """nsd. zones: {origin: zone file text}; where the text is None nsd has the zone and nothing in it: SERVFAIL."""

    def __init__(self, zones: Mapping[str, str | None], *, address: str = SOURCE, port: int = 0) -> None:
        super().__init__(address, port or free_port(RESOLVER, SOURCE, SECOND, SILENT, LAME))
        config = _NSD.format(address=address, port=self.port, home=self.home)
        for number, (origin, text) in enumerate(zones.items()):
            config += f'zone:\n  name: "{origin}"\n  zonefile: "{number}.zone"\n'
            if text is not None:
                (self.home / f"{number}.zone").write_text(text)
        (self.home / "nsd.conf").write_text(config)
        self._files = {origin: self.home / f"{number}.zone" for number, origin in enumerate(zones)}

    def command(self) -> list[str]:
        return [self.program("nsd"), "-d", "-c", str(self.home / "nsd.conf")]

    def publish(self, origin: str, text: str) -> None:
        """Another content for a zone, whose serial must be higher; returns when it is served."""
        serial = dns.zone.from_text(text, origin).get_soa().serial
        self._files[origin].write_text(text)
        self._process.send_signal(signal.SIGHUP)
        self._until(lambda: self._serial(origin) == serial)

    def _serial(self, origin: str) -> int | None:
        reply = self.ask(origin, "SOA")
        return reply.answer[0][0].serial if reply and reply.answer else None


class Resolver(_Server):
    """unbound. sources: {zone: address of the server to ask about it}; "." for all others. anchors: DS records as text,
    of zones whose signatures are checked."""

    def __init__(
        self, port: int, sources: Mapping[str, str], anchors: tuple[str, ...] = (), *, address: str = RESOLVER
    ) -> None:
        super().__init__(address, port)
        server, _, control = _UNBOUND.format(address=address, port=port, home=self.home).partition("remote-control:")
        server += "".join(f'  trust-anchor: "{anchor}"\n' for anchor in anchors)
        stubs = [f'stub-zone:\n  name: "{zone}"\n  stub-addr: {at}@{port}\n' for zone, at in sources.items()]
        (self.home / "unbound.conf").write_text(f"{server}remote-control:{control}{''.join(stubs)}")

    def command(self) -> list[str]:
        return [self.program("unbound"), "-d", "-c", str(self.home / "unbound.conf")]

    def forget(self) -> None:
        """All it remembers."""
        self.stop()
        self.start()

    def client(self) -> dns.resolver.Resolver:
        found = dns.resolver.Resolver(configure=False)
        found.nameservers, found.port = [self.address], self.port
        return found

"""One booted Debian or Ubuntu: an overlay on a base image, run by systemd-nspawn in its namespace.

Every release boots with SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1, also where this machine has cgroup v1:
the container then sees a pure cgroup2 tree, which systemd 257 (Debian 13) insists on and systemd
247 (Debian 11) already understands. Controllers may be missing in it; services start all the same.
"""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from tests.fleet import cgroups, network
from tests.fleet.host import FleetError, unmount_under
from tests.fleet.images import Image, mount_overlay
from tests.fleet.network import Net

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BOOT_PATIENCE = 60


@dataclass(frozen=True)
class Place:
    """Where one fleet keeps its running state: a tmpfs, gone with the fleet."""

    label: str
    directory: Path
    net: Net


class Machine:
    """A host of the fleet. `run` and files go in from outside, without SSH."""

    domain = "fleet.test"

    def __init__(self, place: Place, name: str, image: Image, address: IPv4Address) -> None:
        self.place = place
        self.name = name
        self.image = image
        self.address = address
        self.home = place.directory / "machines" / name
        self.fqdn = f"{name}.{self.domain}"
        self.process: subprocess.Popen[bytes] | None = None
        self.namespace = place.net.namespace(name)

    @property
    def root(self) -> Path:
        """The file system as seen from here (without what the machine mounted itself, such as /run)."""
        return self.home / "root"

    @property
    def leader(self) -> int:
        """Process id of its systemd; FleetError when it does not run."""
        pid = cgroups.init_of(self.place.label, self.name)
        if pid is None:
            raise FleetError(f"{self.name} is not running")
        return pid

    @property
    def is_running(self) -> bool:
        return cgroups.init_of(self.place.label, self.name) is not None

    def connect(self) -> None:
        network.add_host(self.place.net, self.name, [self.address])

    def boot(self) -> None:
        """Start from what is on disk (a fresh overlay the first time); returns when systemd is done."""
        if not self.root.is_mount():
            mount_overlay(self.home, self.image.layers)
            self.prepare()
        self.start()
        self.wait_until_up()

    def prepare(self) -> None:
        """Files written into a fresh overlay before its first boot."""
        self.put("/etc/hostname", f"{self.name}\n")
        own = f"{self.address} {self.fqdn} {self.name}"
        self.put("/etc/hosts", f"127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n{own}\n")

    def start(self) -> None:
        command = [
            *cgroups.launcher(self.place.label, self.name),
            *("systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit"),
            f"--network-namespace-path=/run/netns/{self.namespace}",
            f"--machine=fp-{self.place.label}-{self.name}",
            *("--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe"),
            f"--bind-ro={self.image.repo}:/srv/repo",
            f"--directory={self.root}",
        ]
        with open(self.home / "console.log", "ab") as console:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                cwd="/",
                env={"PATH": PATH, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + BOOT_PATIENCE
        state = "not started"
        while time.monotonic() < deadline:
            if self.process and self.process.poll() is not None:
                break
            if self.is_running:
                state = self.run(["systemctl", "is-system-running"], check=False).stdout.strip()
                if state in ("running", "degraded"):
                    return
            time.sleep(0.05)
        tail = (self.home / "console.log").read_text(errors="replace")[-2000:]
        raise FleetError(f"{self.name} did not come up ({state}): {tail}")

    def stop(self) -> None:
        """Pull the plug. What is on disk stays for the next boot()."""
        cgroups.kill(self.place.label, self.name)
        if self.process:
            self.process.wait()
            self.process = None

    def discard(self) -> None:
        """Stop and forget the disk."""
        self.stop()
        unmount_under(self.home)
        for part in ("upper", "work", "console.log"):
            path = self.home / part
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def reset(self) -> None:
        """A fresh server with the same name, address and host key; firewall rules are lifted too."""
        self.discard()
        network.unblock(self.namespace)
        self.boot()

    def reboot(self) -> None:
        self.stop()
        self.start()
        self.wait_until_up()

    def run(
        self,
        command: list[str] | str,
        *,
        input: str | bytes | None = None,
        check: bool = True,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run an argv, or a text as a shell script (`sh -e`), as root inside; output is decoded UTF-8
        with surrogateescape, so no byte is lost. FleetError on a non-zero exit unless check=False."""
        argv = ["sh", "-ec", command] if isinstance(command, str) else command
        enter = ["nsenter", f"--target={self.leader}", "-m", "-u", "-i", "-n", "-p", "-r", "-w"]
        clean = ["env", "-i", f"PATH={PATH}", "HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"]
        done = subprocess.run(
            [*enter, *clean, *argv],
            input=input.encode(errors="surrogateescape") if isinstance(input, str) else input or b"",
            capture_output=True,
            timeout=timeout,
        )
        out, err = (stream.decode(errors="surrogateescape") for stream in (done.stdout, done.stderr))
        if check and done.returncode:
            raise FleetError(f"{self.name}: {argv!r} exited {done.returncode}: {out[-1500:]}{err[-1500:]}")
        return subprocess.CompletedProcess(argv, done.returncode, out, err)

    def read_file(self, path: str) -> bytes:
        return self.run(["cat", path]).stdout.encode(errors="surrogateescape")

    def write_file(self, path: str, content: str | bytes, *, mode: str = "0644", owner: str = "root:root") -> None:
        script = 'umask 077; cat > "$0"; chown "$2" "$0"; chmod "$1" "$0"'
        self.run(["sh", "-ec", script, path, mode, owner], input=content)

    def exists(self, path: str) -> bool:
        return self.run(["test", "-e", path], check=False).returncode == 0

    def journal(self, unit: str | None = None, *, since: str = "-1h") -> str:
        chosen = ["--unit", unit] if unit else []
        return self.run(["journalctl", "--no-pager", "--output=short-iso", f"--since={since}", *chosen]).stdout

    def failed_units(self) -> list[str]:
        listing = self.run(["systemctl", "list-units", "--failed", "--plain", "--no-legend"]).stdout
        return [line.split()[0] for line in listing.splitlines()]

    def put(self, path: str, content: str | bytes, *, mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> None:
        """Write into the overlay before boot; `path` must not lead over an absolute symlink."""
        target = self.root / path.lstrip("/")
        for parent in reversed(target.relative_to(self.root).parents):
            if not (self.root / parent).exists():
                (self.root / parent).mkdir()
                os.chown(self.root / parent, *owner)
        target.unlink(missing_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        target.chmod(mode)
        os.chown(target, *owner)
        # Postfix sleeps seconds before it reads a file changed just now.
        os.utime(target, (target.stat().st_mtime - 3600,) * 2)

    def install(self, *packages: str) -> None:
        """apt-get install from the local repository, as an operator would."""
        self.run(["apt-get", "update", "-q"])
        self.run(["apt-get", "install", "-y", "-q", *packages], timeout=300)

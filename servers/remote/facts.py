"""Many observations in one script: each becomes a named section that no content can forge."""

import base64
import binascii
import re
from dataclasses import dataclass, field

from servers.remote import clean, cloud
from servers.remote.command import quote

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class Content:
    """A part that is a file's content, or nothing where there is no file: one process instead of three."""

    path: str


def section_script(parts: dict[str, "str | Content"]) -> str:
    """One POSIX script that runs every text of `parts` in a subshell of its own and prints what each wrote to stdout.

    A section is `@name`, base64 lines, and `.`; what a part writes to stderr goes to the script's stderr. All of it is
    printed at the end in one go: sent part by part it would be fifty packets, each with its price on both sides.
    """
    pieces = []
    for name, part in parts.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a section name: {name!r}")
        if isinstance(part, Content):
            body = f"[ ! -e {quote(part.path)} ] || base64 {quote(part.path)}"
        else:
            body = f"( {part}\n) </dev/null | base64"
        pieces.append(f"echo @{name}\n{body}\necho .\n")
    return f"sections=$(\n{''.join(pieces)})\nprintf '%s\\n' \"$sections\"\n"


def sections(stdout: bytes) -> dict[str, bytes]:
    """What `section_script` printed, by name. Noise is skipped; a section that was cut short is absent."""
    found: dict[str, bytes] = {}
    name, body = None, []
    for line in stdout.split(b"\n"):
        if line.startswith(b"@"):
            name, body = line[1:].decode("ascii", "replace"), []
        elif line == b"." and name is not None:
            content = _decoded(body)
            if content is not None:
                found[name] = content
            name = None
        elif name is not None:
            body.append(line)
    return found


def _decoded(lines: list[bytes]) -> bytes | None:
    try:
        return base64.b64decode(b"".join(lines), validate=True)
    except binascii.Error:
        return None


SERVER = {
    "os": "cat /etc/os-release",
    "machine": "uname -m; dpkg --print-architecture; hostname",
    "managers": "for name in apt-get dnf zypper apk pacman; do command -v $name; done",
    "disk": "df -Pk / /var /etc",
    "inodes": "df -Pi / /var /etc",
    "mounts": "cat /proc/mounts",
    "clock": "date +%s.%N",
    "init": "[ -d /run/systemd/system ] && echo systemd; command -v perl",
    "container": "cat /run/systemd/container; [ ! -e /.dockerenv ] || echo docker",
    "mail": "dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Provides}\\n'; ls /usr/sbin/sendmail",
    "tcp": "cat /proc/net/tcp /proc/net/tcp6",
    "listeners": "ss -Hltnp",
    "memory": "cat /proc/meminfo",
    "dmi": cloud.SCRIPT,
}
MAIL_PORTS = (25, 465, 587)


@dataclass(frozen=True)
class Disk:
    """free: bytes, files: free inodes (None where the file system has no fixed number of them)."""

    path: str
    mount: str
    free: int
    files: int | None
    read_only: bool


@dataclass(frozen=True)
class ServerFacts:
    """What a server is, read in one script.

    package_manager: apt, dnf, …, or "". mail_system: Debian package that provides mail-transport-agent, "other" for a
    sendmail that no package explains, or "". listeners: port -> process name ("" where it cannot be told), for the mail
    ports open beyond loopback. epoch: the server's clock. memory: bytes. cloud: slug of `cloud.LABELS`, or "".
    """

    os_id: str = ""
    os_like: tuple[str, ...] = ()
    version: str = ""
    name: str = ""
    arch: str = ""
    hostname: str = ""
    package_manager: str = ""
    disks: tuple[Disk, ...] = ()
    epoch: float = 0.0
    systemd: bool = False
    perl: bool = False
    container: str = ""
    mail_system: str = ""
    listeners: dict[int, str] = field(default_factory=dict)
    memory: int = 0
    cloud: str = ""


def server_script() -> str:
    return section_script(SERVER)


def cloud_parts() -> dict[str, str]:
    """As many sections of it as tell the cloud."""
    return {name: SERVER[name] for name in ("container", "dmi")}


def parse_server(stdout: bytes) -> ServerFacts:
    """Tolerant: what a server does not say stays empty."""
    texts = {name: clean.text(content) for name, content in sections(stdout).items()}
    get = lambda name: texts.get(name, "").split("\n")  # noqa: E731
    release = dict(_pair(line) for line in get("os") if "=" in line)
    machine = get("machine") + [""] * 3
    managers = [path.rsplit("/", 1)[-1].removesuffix("-get") for path in get("managers") if path]
    memory = re.search(r"MemTotal:\s*(\d+) kB", texts.get("memory", ""))
    container = next((line for line in get("container") if line), "")
    return ServerFacts(
        os_id=release.get("ID", ""),
        os_like=tuple(release.get("ID_LIKE", "").split()),
        version=release.get("VERSION_ID", ""),
        name=release.get("PRETTY_NAME", ""),
        arch=machine[1] or machine[0],
        hostname=machine[2] or machine[1],
        package_manager=managers[0] if managers else "",
        disks=_disks(get("disk"), get("inodes"), get("mounts")),
        epoch=_number(texts.get("clock", "")),
        systemd="systemd" in get("init"),
        perl=any(line.endswith("/perl") for line in get("init")),
        container=container,
        mail_system=_mail_system(get("mail")),
        listeners=_listeners(get("tcp"), get("listeners")),
        memory=int(memory[1]) * 1024 if memory else 0,
        # Inside a container the firmware is that of the machine around it, whose network it need not share.
        cloud="" if container else cloud.recognise(cloud.read(texts.get("dmi", ""))),
    )


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name.strip(), value.strip().strip("\"'")


def _number(text: str) -> float:
    return float(text) if re.fullmatch(r"\d{1,12}(\.\d{1,9})?\s*", text) else 0.0


def _disks(sizes: list[str], inodes: list[str], mounts: list[str]) -> tuple[Disk, ...]:
    options = {row[1]: row[3].split(",") for row in (line.split(" ") for line in mounts) if len(row) > 3}
    found = []
    for path, size, count in zip(("/", "/var", "/etc"), _table(sizes), _table(inodes), strict=False):
        mount = size[5]
        files = int(count[3]) if count[3].isdigit() and count[1] not in ("0", "-") else None
        found.append(Disk(path, mount, int(size[3]) * 1024, files, "ro" in options.get(mount, ())))
    return tuple(found)


def _table(lines: list[str]) -> list[list[str]]:
    rows = [line.split(None, 5) for line in lines[1:]]
    return [row for row in rows if len(row) == 6 and (row[3].isdigit() or row[3] == "-")]


def _mail_system(lines: list[str]) -> str:
    for line in lines:
        status, _, rest = line.partition(" ")
        package, _, provides = rest.strip().partition(" ")
        if status.startswith("ii") and "mail-transport-agent" in re.split(r"[ ,]+", provides):
            return package
    return "other" if "/usr/sbin/sendmail" in lines else ""


def _listeners(tcp: list[str], named: list[str]) -> dict[int, str]:
    names: dict[int, str] = {}
    for line in named:
        match = re.match(r"LISTEN\s+\d+\s+\d+\s+\S+:(\d+)\s+\S+(?:\s+users:\(\(\"([^\"]+)\")?", line)
        if match:
            names[int(match[1])] = match[2] or ""
    found = {}
    for line in tcp:
        match = re.match(r"\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ 0A ", line)
        if match and int(match[2], 16) in MAIL_PORTS and not _loopback(match[1]):
            found[int(match[2], 16)] = names.get(int(match[2], 16), "")
    return dict(sorted(found.items()))


def _loopback(address: str) -> bool:
    # The kernel prints each 32-bit word in host order, which is little-endian wherever our packages exist.
    return address.endswith("7F") if len(address) == 8 else address == "0" * 24 + "01000000"

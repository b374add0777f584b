"""Checking a connection stage by stage: each says what it found and, when it is not well, the one next move."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from servers.remote import clean, facts, keypair, ssh
from servers.remote.errors import HostKeyRefused, KeyUnusable, RootRefused
from servers.remote.facts import ServerFacts
from servers.remote.host import Limits, Login, RemoteError

TITLES = {
    "name": "Name",
    "tcp": "Network",
    "ssh": "SSH",
    "host-key": "Host key",
    "sign-in": "Sign-in",
    "root": "Root rights",
    "system": "Operating system",
    "packages": "Package manager",
    "disk": "Disk space",
    "clock": "Clock",
    "mail": "Existing mail system",
    "ports": "Mail ports",
}
SUPPORTED = {"debian": ("11", "12", "13"), "ubuntu": ("22.04", "24.04")}
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Stage:
    """state: ok, warn, fail (nothing after it was tried), unknown or skipped. evidence: what was seen."""

    slug: str
    title: str
    state: str
    evidence: str = ""
    fix: str = ""


def check(
    login: Login,
    on_stage: Callable[[Stage], None] = lambda stage: None,
    on_facts: Callable[[ServerFacts], None] = lambda found: None,
    limits: Limits = ssh.CONNECT,
) -> list[Stage]:
    """Every stage once, in order, told to `on_stage` as it is decided. Changes nothing on the server; never raises
    RemoteError."""
    stages: list[Stage] = []

    def passed(slug: str, evidence: str, state: str = "ok", fix: str = "") -> None:
        stages.append(Stage(slug, TITLES[slug], state, evidence, fix))
        on_stage(stages[-1])

    try:
        with ssh.connect(login, limits=limits, passed=passed) as host:
            asked = time.time()
            output = host.run(facts.server_script(), limits=Limits(total=30.0, idle=20.0))
            middle = (asked + time.time()) / 2
        passed("root", "a root shell answered")
        found = facts.parse_server(output.stdout)
        on_facts(found)
        for slug, (state, evidence, fix) in judge(found, middle):
            passed(slug, evidence, state, fix)
            if state == "fail":
                break
    except RemoteError as error:
        slug = _failed(error, [stage.slug for stage in stages])
        passed(slug, _evidence(error), "fail", error.hint)
    for slug in list(TITLES)[list(TITLES).index(stages[-1].slug) + 1 :]:
        passed(slug, "", "skipped")
    return stages


def _failed(error: RemoteError, done: list[str]) -> str:
    for cause, slug in ((HostKeyRefused, "host-key"), (KeyUnusable, "sign-in"), (RootRefused, "root")):
        if isinstance(error, cause):
            return slug
    return next(slug for slug in TITLES if slug not in done)


def _evidence(error: RemoteError) -> str:
    offered = getattr(error, "offered", None)
    return f"{error} It shows {offered.kind} {keypair.fingerprint(offered.body)}." if offered else str(error)


def judge(found: ServerFacts, now: float) -> list[tuple[str, tuple[str, str, str]]]:
    """(slug, (state, evidence, fix)) for what the facts say. now: the panel's clock when they were read."""
    return [
        ("system", _system(found)),
        ("packages", _packages(found)),
        ("disk", _disk(found)),
        ("clock", _clock(found, now)),
        ("mail", _mail(found)),
        ("ports", _ports(found)),
    ]


def _system(found: ServerFacts) -> tuple[str, str, str]:
    evidence = clean.line(f"{found.name or found.os_id or 'no os-release'}, {found.arch or 'unknown architecture'}")
    if found.container:
        evidence += f", container ({found.container})"
    if found.version in SUPPORTED.get(found.os_id, ()):
        if not found.systemd:
            return "warn", evidence + ", without systemd", "Services are started by their init scripts here."
        return "ok", evidence, ""
    if found.os_id in SUPPORTED or {"debian", "ubuntu"} & set(found.os_like):
        return "warn", evidence, "This release is not tested; Debian 11–13 and Ubuntu 22.04 and 24.04 are."
    return "fail", evidence, "Only Debian 11–13 and Ubuntu 22.04 and 24.04 are supported."


def _packages(found: ServerFacts) -> tuple[str, str, str]:
    if found.package_manager != "apt":
        return "fail", found.package_manager or "none found", "Packages are installed with apt; this server has none."
    if not found.perl:
        return "fail", "apt, but no perl", "Install the essential package perl-base again."
    return "ok", "apt", ""


def _disk(found: ServerFacts) -> tuple[str, str, str]:
    if not found.disks:
        return "unknown", "the server did not say", "Run `df` there."
    evidence = ", ".join(f"{disk.path}: {disk.free // MEGABYTE} MB free" for disk in found.disks)
    for disk in found.disks:
        if disk.read_only:
            return "fail", f"{disk.mount} is mounted read-only", f"Remount {disk.mount} read-write, after checking why."
        if disk.free < 100 * MEGABYTE:
            return "fail", evidence, f"Free at least 100 MB on {disk.mount}."
        if disk.files is not None and disk.files < 1000:
            return (
                "fail",
                f"{disk.mount}: {disk.files} free inodes",
                f"Delete files on {disk.mount}: its inodes are used up.",
            )
    if any(disk.free < 500 * MEGABYTE for disk in found.disks):
        return "warn", evidence, "A mail queue and its logs need room; free 500 MB or more."
    return "ok", evidence, ""


def _clock(found: ServerFacts, now: float) -> tuple[str, str, str]:
    if not found.epoch:
        return "unknown", "the server did not say", "Run `date` there."
    off = found.epoch - now
    evidence = f"{abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} the panel"
    if abs(off) > 86_400:
        return "fail", evidence, "Set the clock: certificates and package lists are refused at this date."
    if abs(off) > 60:
        return "warn", evidence, "Turn on time synchronisation (timedatectl set-ntp true)."
    return "ok", evidence, ""


def _mail(found: ServerFacts) -> tuple[str, str, str]:
    if not found.mail_system:
        return "ok", "none", ""
    if found.mail_system == "postfix":
        return "ok", "postfix is installed", ""
    if found.mail_system == "other":
        return "warn", "a sendmail that no package explains", "Find out what /usr/sbin/sendmail is before installing."
    return "warn", f"{found.mail_system} is installed", f"Installing Postfix removes {found.mail_system}."


def _ports(found: ServerFacts) -> tuple[str, str, str]:
    evidence = ", ".join(f"{port}: {name or 'in use'}" for port, name in found.listeners.items()) or "none in use"
    foreign = [port for port, name in found.listeners.items() if name not in ("master", "")]
    if 25 in foreign and found.mail_system != "postfix":
        return "warn", evidence, "Stop the service on port 25 or let it listen on loopback only."
    return "ok", evidence, ""

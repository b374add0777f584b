"""One look at the server before the conversation: its name for itself, addresses, trusted authorities, tools, clock."""

import re
import time
from dataclasses import dataclass

from servers.remote import clean
from servers.remote.command import shell
from servers.remote.facts import section_script, sections
from servers.remote.host import Host, Limits

LIMITS = Limits(total=30, idle=20)
BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu
    "/etc/pki/tls/certs/ca-bundle.crt",  # RHEL family
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine
)
_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")


@dataclass(frozen=True)
class Scene:
    """addresses: of the relay by the server's resolver, IPv4 first. bundle, digest: its list of authorities, or "".

    skew: seconds the server's clock is ahead of the panel's.
    """

    addresses: tuple[str, ...]
    fqdn: str
    bundle: str
    digest: str
    tools: frozenset[str]
    skew: float
    ms: int


def look(host: Host, name: str) -> Scene:
    """Raises RemoteError."""
    started = time.monotonic()
    output = host.run(section_script(parts(name)), limits=LIMITS)
    return read(output.stdout, time.time(), round((time.monotonic() - started) * 1000))


def parts(name: str) -> dict[str, str]:
    """The look as sections of a script; the clock comes last."""
    tried = " ".join(BUNDLES)
    return {
        "addresses": f"timeout 10 {shell('getent', 'ahosts', name)} | cut -d' ' -f1 | sort -u | head -n 16",
        "fqdn": "timeout 5 hostname -f",
        "bundle": f'for f in {tried}; do [ -s "$f" ] && sha256sum "$f" && break; done',
        "tools": "for t in bash openssl timeout; do command -v $t >/dev/null 2>&1 && echo $t; done",
        "clock": "date +%s",
    }


def read(stdout: bytes, now: float, ms: int) -> Scene:
    """What the sections said. now: the panel's clock at their end. ms: how long the name took."""
    said = {key: value.decode("utf-8", "replace").split() for key, value in sections(stdout).items()}
    digest, _, bundle = " ".join(said.get("bundle", [])).partition(" ")
    fqdn, clock = said.get("fqdn", [""])[:1], said.get("clock", [""])[:1]
    return Scene(
        addresses=tuple(sorted(map(clean.line, said.get("addresses", [])), key=lambda address: ":" in address)),
        fqdn=fqdn[0] if fqdn and _HOST_NAME.fullmatch(fqdn[0]) else "",
        bundle=bundle if bundle in BUNDLES else "",
        digest=digest,
        tools=frozenset(said.get("tools", [])),
        skew=float(clock[0]) - now if clock and clock[0].isdigit() else 0.0,
        ms=ms,
    )

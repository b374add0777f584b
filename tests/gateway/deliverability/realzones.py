"""tests/golden/dns/zones.yml as zone files and cases."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import dns.dnssec
import dns.name
import dns.node
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.zone
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fleet.nameserver import LAME, SECOND, SILENT, SOURCE

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "dns" / "zones.yml"
_HEAD = """$ORIGIN {origin}
$TTL 3600
@ SOA ns host {serial} 3600 600 86400 2400
@ NS ns
ns A {address}
"""
_MAIL = "@ MX 10 mx\nmx A 192.0.2.1\n"
_ADDRESSES = {"second": SECOND, "silent": SILENT, "lame": LAME}


@dataclass(frozen=True)
class Case:
    """One zone and what is said about `domain` in it; nothing is asked about zones without `finds`."""

    zone: str
    records: str = ""
    at: str = ""
    mail: bool = True
    absent: bool = False
    domain: str = ""
    presets: tuple[str, ...] = ()
    selectors: tuple[str, ...] = ()
    spf: dict[str, str] = field(default_factory=dict)
    finds: dict[str, str] = field(default_factory=dict)
    state: str = ""
    never: tuple[str, ...] = ()
    never_area: str = ""
    never_said: str = ""
    publish: dict[str, str] | None = None

    @property
    def name(self) -> str:
        return self.domain or self.zone

    @property
    def address(self) -> str:
        """Of the server that answers for it."""
        return _ADDRESSES.get(self.at, SOURCE)

    def text(self, more: str = "", serial: int = 1) -> str:
        origin = "." if self.zone == "." else f"{self.zone}."
        head = _HEAD.format(origin=origin, serial=serial, address=self.address)
        return head + (_MAIL if self.mail else "") + self.records + more


def load() -> list[Case]:
    keys, *rows = yaml.safe_load_all(GOLDEN.read_text())

    def filled(records: str) -> str:
        return re.sub(r"\{([A-Z0-9]+)\}", lambda found: _quoted(keys[found[1]]), records)

    return [Case(**row | {"records": filled(row.get("records", ""))}) for row in rows]


def _quoted(text: str) -> str:
    """In strings of 255 characters at most, as a zone file has them."""
    return " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))


def signed(case: Case) -> tuple[str, str]:
    """The zone file signed with a new key, and the DS record of that key."""
    private = Ed25519PrivateKey.generate()
    key = dns.dnssec.make_dnskey(private.public_key(), "ED25519", flags=257)
    zone = dns.zone.from_text(case.text(), case.zone, relativize=False)
    with zone.writer() as writer:
        dns.dnssec.sign_zone(
            zone, writer, keys=[(private, key)], lifetime=int(timedelta(days=1).total_seconds()), dnskey_ttl=3600
        )
    anchor = dns.dnssec.make_ds(zone.origin, key, "SHA256")
    text = zone.to_text(relativize=False)
    if case.at == "forged":
        text = text.replace("v=spf1 mx ~all", "v=spf1 +all")
    return text, f"{zone.origin} IN DS {anchor}"

"""What blocklists say of a domain or an address. Pure over a Lookup; the lists are data (data/blocklists.toml).

A list is believed only while its own test points answer as RFC 5782 says: resolvers that may not ask it, or that invent
answers for names that do not exist, would else make everybody listed, or nobody."""

import ipaddress
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from gateway.deliverability.answers import Answer, Lookup

_DATA = Path(__file__).parent / "data" / "blocklists.toml"
_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
LISTED, CLEAN, UNUSABLE = "listed", "clean", "unusable"
POLICY = "policy"


@dataclass(frozen=True)
class Code:
    """state: fail | warn | policy. what: the reason in words, after "because". part: the list within the list."""

    state: str
    what: str
    part: str = ""


@dataclass(frozen=True)
class Blocklist:
    """of: domain | address. codes: answer -> Code, or bit of its last octet -> Code where `bits`. registered: it knows
    domains as they are registered only. off: how to get off it, at `page`."""

    name: str
    zone: str
    of: str
    page: str
    off: str
    codes: dict[str, Code] = field(hash=False)
    refused: dict[str, str] = field(default_factory=dict, hash=False)
    listed: str = "2.0.0.127"
    clean: str = "1.0.0.127"
    bits: bool = False
    ipv6: bool = False
    registered: bool = False


@dataclass(frozen=True)
class Verdict:
    """status: listed | clean | unusable. codes: why it is listed. detail: the answer, or why there is none to believe.
    asked: the name that was asked for."""

    status: str
    asked: str
    codes: tuple[Code, ...] = ()
    detail: str = ""


@cache
def known() -> tuple[Blocklist, ...]:
    read = tomllib.loads(_DATA.read_text("utf-8"))["list"]
    return tuple(
        Blocklist(**(raw | {"codes": {key: Code(**code) for key, code in raw["codes"].items()}})) for raw in read
    )


def of_domains(lists: Sequence[Blocklist]) -> list[Blocklist]:
    return [one for one in lists if one.of == "domain"]


def of_address(lists: Sequence[Blocklist], address: str) -> list[Blocklist]:
    """Those that list addresses of this kind."""
    return [one for one in lists if one.of == "address" and (one.ipv6 or ":" not in address)]


def questions(lists: Sequence[Blocklist], domain: str, registered: str) -> list[tuple[str, str]]:
    """What will be asked about a domain, so that it can be asked at once."""
    names = [f"{registered if one.registered else domain}.{one.zone}" for one in of_domains(lists)]
    return [(name, "A") for name in names + [f"{one.listed}.{one.zone}" for one in of_domains(lists)]]


def label(address: str) -> str:
    """`192.0.2.1` -> `1.2.0.192`, and the nibbles of an IPv6 address."""
    return ipaddress.ip_address(address).reverse_pointer.rpartition(".")[0].rpartition(".")[0]


def ask(one: Blocklist, what: str, lookup: Lookup) -> Verdict:
    """`what`: a domain, or an address as `label` writes it."""
    name = f"{what}.{one.zone}"
    # The test point first: a list that does not answer for it is not asked about each of many addresses.
    works = lookup(f"{one.listed}.{one.zone}", "A")
    if reason := _unusable(one, works):
        return Verdict(UNUSABLE, name, detail=reason)
    if not works.values:
        return Verdict(UNUSABLE, name, detail="its own test entry is not found through this resolver")
    answer = lookup(name, "A")
    if reason := _unusable(one, answer):
        return Verdict(UNUSABLE, name, detail=reason)
    if not answer.values:
        return Verdict(CLEAN, name)
    if not lookup(f"{one.clean}.{one.zone}", "A").void:
        return Verdict(UNUSABLE, name, detail="its test entry that must never be listed is: it lists everybody")
    codes = _codes(one, answer.values)
    said = ", ".join(answer.values)
    if not codes:
        return Verdict(UNUSABLE, name, detail=f"its answer {said} has no meaning that is known here")
    return Verdict(LISTED, name, codes, said)


def _unusable(one: Blocklist, answer: Answer) -> str:
    """Why this answer says nothing; "" when it does."""
    if not answer.known:
        return answer.detail or "it did not answer"
    for value in answer.values:
        if value in one.refused:
            return one.refused[value]
        if ipaddress.ip_address(value) not in _LOOPBACK:
            return (
                f"the resolver answers {value}, which no blocklist does: it invents answers for names that do not exist"
            )
        if value.startswith("127.255.255."):
            return f"it answers {value}, which is an error and no listing"
    return ""


def _codes(one: Blocklist, values: Sequence[str]) -> tuple[Code, ...]:
    if not one.bits:
        return tuple(one.codes[value] for value in values if value in one.codes)
    octets = [int(value.rpartition(".")[2]) for value in values]
    return tuple(code for bit, code in one.codes.items() if any(octet & int(bit) for octet in octets))

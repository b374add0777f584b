"""Servers whose own address counts: mail leaves them without a sign-in. Reverse and HELO names. Pure over a Lookup."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.deliverability.answers import Lookup, valid_name
from gateway.deliverability.findings import FAIL, OK, UNKNOWN, WARN, Finding, Sender
from servers.remote.addresses import is_public

SHOWN = 10  # servers of one account that are looked at
NAT = "If the server reaches the Internet by another address, that one counts."


@dataclass(frozen=True)
class Addresses:
    """Public addresses of a server; why there are none, or none known."""

    found: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class _Row:
    """name: the record it rests on."""

    server: str
    told: str
    name: str = ""


def addresses(known: str, lookup: Lookup) -> Addresses:
    """known: where the panel reaches the server, a name or an IP address."""
    literal = _ip(known)
    if literal:
        if is_public(known):
            return Addresses((str(literal),))
        return Addresses(why=f"the panel reaches it at {known}, an address inside a network")
    if not valid_name(known):
        return Addresses(why=f"the panel reaches it as {known}, a name that only its own network knows")
    answers = [lookup(known, kind) for kind in ("A", "AAAA")]
    values = [value for answer in answers for value in answer.values]
    public = tuple(filter(is_public, values))
    if public:
        return Addresses(public)
    if values:
        return Addresses(why=f"{known} leads to {', '.join(values)}, inside a network")
    if not all(answer.known for answer in answers):
        return Addresses(why=f"DNS gave no answer for {known}")
    return Addresses(why=f"{known} has no address in the public DNS")


def public(senders: Sequence[Sender], lookup: Lookup) -> dict[str, tuple[str, ...]]:
    """{address: names of the servers} of those senders."""
    found: dict[str, tuple[str, ...]] = {}
    for origin in dict.fromkeys(origin for sender in senders for origin in sender.origins):
        for address in addresses(origin.address, lookup).found:
            found[address] = tuple(dict.fromkeys((*found.get(address, ()), origin.server)))
    return found


def judge(lookup: Lookup, senders: Sequence[Sender]) -> list[Finding]:
    findings = []
    signed = [sender.label for sender in senders if not sender.unsigned]
    if signed:
        who = " and ".join([", ".join(signed[:-1]), signed[-1]] if signed[1:] else signed)
        what = f"Reverse and HELO names of your servers do not matter for mail through {who}."
        evidence = "The provider's own address is what receivers see."
        findings.append(Finding("server", OK, "optional", what, evidence))
    for sender in senders:
        if sender.unsigned and sender.origins:
            findings += [*_reverse(sender, lookup), *_helo(sender, lookup)]
    return findings


def _reverse(sender: Sender, lookup: Lookup) -> list[Finding]:
    """One finding a cause, the servers in its evidence."""
    groups: dict[str, list[_Row]] = {}
    for server, address in dict.fromkeys((origin.server, origin.address) for origin in sender.origins):
        where = addresses(address, lookup)
        if not where.found:
            groups.setdefault("hidden", []).append(_Row(server, f"{server}: {where.why}"))
        for found in where.found:
            kind, told = _confirmed(found, lookup)
            groups.setdefault(kind, []).append(_Row(server, f"{server} {found}{told}", f"{_pointer(found)} PTR"))
    bad = FAIL if sender.delivers else WARN
    lost = "Many receivers refuse" if sender.delivers else f"{sender.label} may refuse"
    lost += " mail from such an address. Where it is rented, set its reverse DNS (PTR) to a name that leads back to it."
    said = {
        "right": (OK, "present", "reverse names that lead back.", ""),
        "missing": (bad, "missing", "no reverse name.", f"{lost} {NAT}"),
        "astray": (bad, "wrong", "a reverse name that does not lead back.", lost),
        "unread": (UNKNOWN, "unknown", "a reverse name that could not be read.", "Check again later."),
        "hidden": (UNKNOWN, "unknown", "no public address the panel knows of.", _outside(sender)),
    }
    findings = []
    for kind, (state, word, what, hint) in said.items():
        if rows := groups.get(kind):
            many = len({row.server for row in rows})
            who = f"{many} servers for {sender.label} have" if many > 1 else f"1 server for {sender.label} has"
            names = tuple(row.name for row in rows if row.name)
            evidence = "\n".join(row.told for row in rows)
            findings.append(Finding("server", state, word, f"{who} {what}", evidence, hint, names))
    if sender.more:
        what = f"{sender.more} more servers for {sender.label} were not looked at."
        findings.append(Finding("server", UNKNOWN, "unknown", what, hint="They need the same records."))
    return findings


def _outside(sender: Sender) -> str:
    ask = "The page of whoever hosts the server shows it."
    if sender.delivers:
        return f"{ask} It needs a reverse name that leads back, and a place in the SPF record as ip4: or ip6:."
    return f"{ask} It needs a reverse name that leads back."


def _confirmed(address: str, lookup: Lookup) -> tuple[str, str]:
    """right | missing | astray | unread, and what to add to the evidence."""
    pointed = lookup(_pointer(address), "PTR")
    if not pointed.known:
        return "unread", f": {pointed.detail}"
    if not pointed.values:
        return "missing", ""
    kind = "AAAA" if ":" in address else "A"
    told = f" → {', '.join(pointed.values)}"
    answers = [lookup(name, kind) for name in pointed.values[:5]]
    if any(_ip(value) == _ip(address) for answer in answers for value in answer.values):
        return "right", told
    if not all(answer.known for answer in answers):
        return "unread", told
    return "astray", f"{told} → {', '.join(v for a in answers for v in a.values) or 'nothing'}"


def _helo(sender: Sender, lookup: Lookup) -> list[Finding]:
    findings = []
    bad = FAIL if sender.needs_helo else WARN
    for name in dict.fromkeys(origin.helo for origin in sender.origins):
        if not name:
            what = f"The name servers give {sender.label} (HELO) is their own, which the panel does not know."
            hint = "Type a HELO name in the account's values: a complete host name that has an address in DNS."
            findings.append(Finding("server", UNKNOWN, "unknown", what, hint=hint))
            continue
        answers = [lookup(name, kind) for kind in ("A", "AAAA")] if valid_name(name) else []
        names = (f"{name} A", f"{name} AAAA")
        if any(answer.values for answer in answers):
            what = f"The HELO name {name} has an address."
            findings.append(Finding("server", OK, "present", what, names=names))
        elif not all(answer.known for answer in answers):
            what = f"The HELO name {name} could not be read."
            findings.append(Finding("server", UNKNOWN, "unknown", what, hint="Check again later.", names=names))
        else:
            what = f"The HELO name {name} has no address, and {sender.label} is told that name."
            hint = "Some receivers refuse such a name. Publish an A record for it, or use a name that has one."
            findings.append(Finding("server", bad, "missing", what, hint=hint, names=names))
    return findings


def _pointer(address: str) -> str:
    return ipaddress.ip_address(address).reverse_pointer


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None

"""DKIM keys of a sending domain, RFC 6376, 8301 and 8463. Pure over a Lookup."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from gateway.deliverability import selectors
from gateway.deliverability.answers import Lookup
from gateway.deliverability.findings import FAIL, OK, UNKNOWN, WARN, Finding, Publish, Sender, record
from gateway.providers.preset import Dkim

WEAK, GOOD = 1024, 2048


@dataclass(frozen=True)
class Key:
    """bits: of an RSA key; 256 for Ed25519. fault: why no receiver can use it, "" when they can."""

    kind: str = "rsa"
    bits: int = 0
    testing: bool = False
    fault: str = ""


def parse(text: str) -> Key:
    """The key in a TXT record; never raises."""
    pairs = [part.split("=", 1) for part in text.split(";") if part.strip()]
    if any(len(pair) != 2 for pair in pairs):
        return Key(fault="it is no list of tags")
    tags = {name.strip().lower(): value.strip() for name, value in pairs}
    if tags.get("v", "DKIM1") != "DKIM1" or "p" not in tags:
        return Key(fault="it is no DKIM key: there is no p= in it" if "p" not in tags else "it does not say v=DKIM1")
    kind = tags.get("k", "rsa").lower()
    testing = "y" in tags.get("t", "").lower().split(":")
    encoded = "".join(tags["p"].split())
    if not encoded:
        return Key(kind, fault="it is revoked: p= is empty")
    if "h" in tags and "sha256" not in [one.strip().lower() for one in tags["h"].split(":")]:
        return Key(kind, fault="it forbids SHA-256, which is what mail is signed with")
    if not {"*", "email"} & {one.strip().lower() for one in tags.get("s", "*").split(":")}:
        return Key(kind, fault="it is not meant for email")
    try:
        raw = base64.b64decode(encoded, validate=True)
        bits = _bits(kind, raw)
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return Key(kind, fault="its key is damaged: look for quotation marks, blanks or a missing end")
    if bits < WEAK and kind == "rsa":
        return Key(kind, bits, testing, f"its RSA key has {bits} bits, and receivers take no less than {WEAK}")
    return Key(kind, bits, testing)


def _bits(kind: str, raw: bytes) -> int:
    if kind == "ed25519":
        if len(raw) != 32:
            raise ValueError(kind)
        return 256
    key = load_der_public_key(raw)
    if kind != "rsa" or not isinstance(key, RSAPublicKey):
        raise ValueError(kind)
    return key.key_size


def expected(senders: Sequence[Sender]) -> list[str]:
    """The selectors that will be looked for."""
    found: list[str] = []
    for sender in senders:
        own = selectors.of(sender.slug)
        if sender.dns and (own is None or own.signs):
            found += [one.selector for one in sender.dns.dkim] or (own.guesses if own else ())
    return found


def judge(
    domain: str, lookup: Lookup, senders: Sequence[Sender], named: Sequence[str] = ()
) -> tuple[list[Finding], list[Publish], dict[str, bool | None]]:
    """Findings, records, and {label of the provider: whether it can sign; None when nothing is known}.

    named: selectors that somebody typed for accounts that have their own."""
    whose = {selector: _owner(selector, senders) for selector in named}
    typed = {s: _key(domain, _named(s, whose[s]), lookup, whose[s].label if whose[s] else "") for s in named}
    judged = list(typed.values())
    signs: dict[str, bool | None] = {}
    for sender in senders:
        if not sender.dns:
            continue
        if (known := selectors.of(sender.slug)) and not known.signs:
            what = f"Mail through {sender.label} bears no DKIM signature: nobody on the way signs it."
            judged.append((Finding("dkim", OK, "optional", what), None))
            signs[sender.label] = False
            continue
        if sender.dns.dkim:
            own = [_key(domain, _filled(one, domain, sender), lookup, sender.label) for one in sender.dns.dkim]
            judged += own
            states = {finding.state for finding, _ in own}
            works = bool(states & {OK, WARN}) or _works(typed[s] for s in named if not whose[s])
            signs[sender.label] = None if UNKNOWN in states and not works else works
            continue
        mine = [s for s in named if whose[s] in (sender, None)]
        if mine:
            certain = all(whose[s] and typed[s][0].state != UNKNOWN for s in mine)
            signs[sender.label] = _works(typed[s] for s in mine) or (False if certain else None)
            continue
        guessed, signs[sender.label] = _guessed(domain, lookup, sender)
        judged += [(finding, None) for finding in guessed]
    findings = [finding for finding, _ in judged]
    return findings, [wanted for _, wanted in judged if wanted], signs


def _works(judged) -> bool:
    return any(finding.state in (OK, WARN) for finding, _ in judged)


def _owner(selector: str, senders: Sequence[Sender]) -> Sender | None:
    """The sender whose selectors, and nobody else's, look like that."""
    own = ((sender, selectors.of(sender.slug)) for sender in senders if sender.dns and not sender.dns.dkim)
    return next((sender for sender, known in own if known and known.shaped(selector)), None)


def _named(selector: str, sender: Sender | None) -> Dkim:
    own = selectors.of(sender.slug) if sender else None
    if own and own.target:
        return Dkim(selector, "cname", own.target.replace("{selector}", selector))
    return Dkim(selector, "txt")


def _filled(one: Dkim, domain: str, sender: Sender) -> Dkim:
    return Dkim(one.selector, one.kind, one.target.replace("{domain}", domain).replace("{region}", sender.region))


def _guessed(domain: str, lookup: Lookup, sender: Sender) -> tuple[list[Finding], bool | None]:
    """Keys at the names this provider often uses. Only a CNAME to the provider, or a name nobody else uses, proves
    whose key it is."""
    own, sure, likely = selectors.of(sender.slug), [], []
    for selector in own.guesses if own else ():
        answer = lookup(f"{selector}._domainkey.{domain}", "TXT")
        if not answer.values or (answer.alias and not own.led(answer.alias)):
            continue
        finding, _ = _key(domain, Dkim(selector, "txt"), lookup, sender.label)
        if own.led(answer.alias) or own.shaped(selector):
            sure.append(finding)
        elif finding.state in (OK, WARN):
            likely.append(finding)
    if sure:
        return sure, any(finding.state in (OK, WARN) for finding in sure)
    return [_unnamed(domain, sender, likely)], None


def _unnamed(domain: str, sender: Sender, likely: Sequence[Finding]) -> Finding:
    own = selectors.of(sender.slug)
    if not own:
        what = f"Which DKIM keys {sender.label} uses for {domain} is not known here."
        hint = f"{sender.dns.note} Type the selector, the part before ._domainkey, to have it checked.".strip()
        return Finding("dkim", UNKNOWN, "unknown", what, hint=hint)
    what = f"This account's own DKIM selector is needed to look at the key of {sender.label}."
    hint = f"{own.where}. It is {own.example}."
    evidence = "\n".join(finding.evidence for finding in likely)
    if likely:
        hint = f"There is a key that may be {sender.label}'s: if it is shown there too, that is the selector. {hint}"
    return Finding("dkim", UNKNOWN, "unknown", what, evidence, hint, link=own.page)


def _key(domain: str, one: Dkim, lookup: Lookup, label: str) -> tuple[Finding, Publish | None]:
    name = f"{one.selector}._domainkey.{domain}"
    whose = f" of {label}" if label else ""
    answer = lookup(name, "TXT")

    def said(state: str, word: str, what: str, evidence: str = "", hint: str = "") -> Finding:
        return Finding("dkim", state, word, what, evidence, hint, (f"{name} TXT",))

    wanted = None
    if one.target:
        wanted = record(name, domain, "CNAME", one.target, f"The DKIM key{whose}.")
    alias = answer.alias
    if not answer.known:
        hint = "DNS gave no answer, so nothing is said about it. Check again later."
        return said(UNKNOWN, "unknown", f"The DKIM key{whose} could not be read.", answer.detail or name, hint), None
    if alias and one.target and alias.lower() != one.target.lower():
        what = f"The DKIM record{whose} points elsewhere."
        return said(FAIL, "wrong", what, f"{name} → {alias}", f"It must point to {one.target}."), wanted
    if not answer.values:
        return _absent(domain, one, alias, lookup, said, whose), wanted
    if len(answer.values) > 1:
        what = f"There are {len(answer.values)} records where the one DKIM key{whose} belongs."
        return said(FAIL, "wrong", what, "\n".join(answer.values), "Keep the one that the provider shows."), wanted
    key = parse(answer.values[0])
    evidence = f"{name} → {alias}" if alias else f"{name}: {_short(answer.values[0])}"
    if key.fault:
        hint = "Copy it again from the provider's page, as one line."
        return said(FAIL, "wrong", f"The DKIM key{whose} cannot be used: {key.fault}.", evidence, hint), wanted
    strength = "Ed25519" if key.kind == "ed25519" else f"RSA, {key.bits} bits"
    if key.testing:
        hint = "Take t=y out of the record when everything works."
        return said(WARN, "present", f"The DKIM key{whose} says it is only a test (t=y).", evidence, hint), None
    if key.kind == "rsa" and key.bits < GOOD:
        hint = f"Ask the provider for a key of {GOOD} bits."
        return said(WARN, "present", f"The DKIM key{whose} is weak: {strength}.", evidence, hint), None
    if one.target and not alias:
        what = f"The DKIM key{whose} is a copy: when the provider changes its key, signatures break."
        return said(WARN, "present", what, evidence, f"Make it a CNAME to {one.target}."), wanted
    return said(OK, "present", f"The DKIM key{whose} is there: {strength}.", evidence), None


def _absent(domain: str, one: Dkim, alias: str, lookup: Lookup, said, whose: str) -> Finding:
    name = f"{one.selector}._domainkey.{domain}"
    alias = alias or next(iter(lookup(name, "CNAME").values), "")
    if alias:
        what = f"The DKIM record{whose} points to a name where there is no key."
        hint = "The provider has not finished its side, or the target is mistyped: compare it with the provider's page."
        return said(FAIL, "wrong", what, f"{name} → {alias}", hint)
    doubled = f"{name}.{domain}"
    if lookup(doubled, "TXT").values or lookup(doubled, "CNAME").values:
        what = f"The DKIM record{whose} stands at a doubled name."
        hint = f"Your DNS host adds the domain itself: type {name.removesuffix('.' + domain)} as its name."
        return said(FAIL, "wrong", what, doubled, hint)
    hint = (
        f"Publish the {one.kind.upper()} record that the provider shows."
        if not one.target
        else "Publish the record on this page."
    )
    return said(FAIL, "missing", f"The DKIM key{whose} is missing.", name, hint)


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:80]} … {text[-20:]}"

"""MTA-STS of a domain (RFC 8461): its announcement, and the policy that was fetched, against its MX. Pure.

It concerns mail to the domain only: bounces and replies."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from gateway.deliverability.answers import Lookup
from gateway.deliverability.findings import FAIL, OK, UNKNOWN, WARN, Finding

MODES = ("enforce", "testing", "none")
OLDEST = 31_557_600  # seconds of max_age, by the RFC
_ANNOUNCED = re.compile(r"v=STSv1;\s*id=([A-Za-z0-9]{1,32})\s*(;.*)?")
TO_YOU = "It only concerns mail to the domain, not what you send."


@dataclass(frozen=True)
class Fetched:
    """text: the policy; "" with `fault`, why senders cannot use it. unknown: only this panel could not fetch it."""

    text: str = ""
    fault: str = ""
    unknown: bool = False


Fetch = Callable[[str, Sequence[str]], Fetched]  # (host name, its addresses) -> the policy there


@dataclass(frozen=True)
class Seen:
    """The policy that `id` was first seen with; digest: SHA-256 of its text."""

    id: str
    digest: str


@dataclass(frozen=True)
class Policy:
    """fault: why it cannot be read, "" when it can."""

    mode: str = ""
    mx: tuple[str, ...] = ()
    max_age: int = 0
    fault: str = ""


def host(domain: str) -> str:
    return f"mta-sts.{domain}"


def parse(text: str) -> Policy:
    """Never raises. Of a key that stands twice the first counts; mx may stand many times."""
    pairs = [line.split(":", 1) for line in text.splitlines() if line.strip()]
    if any(len(pair) != 2 for pair in pairs):
        return Policy(fault="a line of it is not “key: value”")
    named = [(key.strip(), value.strip()) for key, value in pairs]
    keys: dict[str, str] = {}
    for key, value in named:
        keys.setdefault(key, value)
    mx = tuple(value.lower() for key, value in named if key == "mx")
    if keys.get("version") != "STSv1":
        return Policy(fault="it does not say version: STSv1")
    if keys.get("mode") not in MODES:
        return Policy(fault=f"its mode is {keys.get('mode', 'missing')[:40]}, not one of {', '.join(MODES)}")
    if not re.fullmatch(r"[0-9]{1,10}", keys.get("max_age", "")) or int(keys["max_age"]) > OLDEST:
        said = keys.get("max_age", "missing")[:40]
        return Policy(fault=f"its max_age is {said}, not a number of seconds up to {OLDEST}")
    if keys["mode"] != "none" and not mx:
        return Policy(fault="it names no mx")
    return Policy(keys["mode"], mx, int(keys["max_age"]))


def covers(pattern: str, name: str) -> bool:
    """`*.example.com` stands for exactly one label before example.com."""
    if pattern.startswith("*."):
        return name.partition(".")[2] == pattern[2:]
    return name == pattern


def judge(domain: str, lookup: Lookup, fetch: Fetch | None, before: dict) -> tuple[list[Finding], dict]:
    """Findings, and what the next check is given as `before`: a Seen as a dict. Nothing where nothing is announced."""
    name = f"_mta-sts.{domain}"
    texts = [text for text in lookup(name, "TXT").values if text.startswith("v=STSv1")]
    if not texts:
        return [], {}
    found = _ANNOUNCED.fullmatch(texts[0]) if len(texts) == 1 else None
    if not found:
        what = "The MTA-STS record cannot be read by other mail servers, so they do without."
        hint = f"It is one TXT record: v=STSv1; id= and up to 32 letters and digits. {TO_YOU}"
        return [Finding("tls", WARN, "wrong", what, "\n".join(texts), hint, (f"{name} TXT",))], before
    announced = Finding("tls", OK, "present", "MTA-STS is announced.", texts[0], names=(f"{name} TXT",))
    if fetch is None:
        return [announced], before
    fetched = _fetched(domain, lookup, fetch)
    if fetched.unknown or fetched.fault:
        return [announced, _unread(domain, fetched)], before
    seen = Seen(found[1], hashlib.sha256(fetched.text.encode()).hexdigest())
    changed = before.get("id") == seen.id and before != asdict(seen)
    return [announced, *_policy(domain, lookup, fetched.text, changed=changed)], before if changed else asdict(seen)


def _fetched(domain: str, lookup: Lookup, fetch: Fetch) -> Fetched:
    answers = [lookup(host(domain), kind) for kind in ("A", "AAAA")]
    addresses = [value for answer in answers for value in answer.values]
    if addresses:
        return fetch(host(domain), addresses)
    if all(answer.known for answer in answers):
        return Fetched(fault=f"{host(domain)} has no address")
    return Fetched(fault=f"DNS gave no answer for {host(domain)}", unknown=True)


def _said(domain: str, state: str, word: str, what: str, evidence: str = "", hint: str = "") -> Finding:
    return Finding("tls", state, word, what, evidence, hint, (f"{host(domain)} policy",))


def _unread(domain: str, fetched: Fetched) -> Finding:
    url = f"https://{host(domain)}/.well-known/mta-sts.txt"
    if fetched.unknown:
        what = "The MTA-STS policy could not be fetched from here."
        hint = f"Open {url} from elsewhere; the panel may not be let out by HTTPS. {TO_YOU}"
        return _said(domain, UNKNOWN, "unknown", what, fetched.fault, hint)
    what = "Other mail servers cannot use the MTA-STS policy that is announced."
    return _said(domain, WARN, "wrong", what, f"{url}: {fetched.fault}", f"Mend it there. {TO_YOU}")


def _policy(domain: str, lookup: Lookup, text: str, *, changed: bool) -> list[Finding]:
    policy = parse(text)
    if policy.fault:
        what = f"Other mail servers cannot read the MTA-STS policy: {policy.fault}."
        return [_said(domain, WARN, "wrong", what, text[:2000], f"Correct the file. {TO_YOU}")]
    findings = [_mode(domain, policy, text)]
    if changed:
        what = "The MTA-STS policy was changed and its id was not, so other mail servers keep the earlier one."
        hint = f"Give the record at _mta-sts.{domain} a new id. {TO_YOU}"
        findings.append(_said(domain, WARN, "wrong", what, text[:2000], hint))
    answer = lookup(domain, "MX")
    hosts = [value.split(" ", 1)[1] for value in answer.values]
    outside = [name for name in hosts if name != "." and not any(covers(pattern, name) for pattern in policy.mx)]
    if outside and policy.mode != "none":
        enforced = policy.mode == "enforce"
        some = f"leaves out {len(outside)} of the domain's {len(hosts)}"
        if outside == hosts:
            some = "names none of the domain's"
        what = f"The MTA-STS policy {some} mail servers (MX)."
        effect = "Other servers refuse to deliver there." if enforced else "Once it is enforced, mail to them is lost."
        evidence = f"MX: {', '.join(outside)}\npolicy: {', '.join(policy.mx)}"
        hint = f"{effect} Add them to the policy as mx: lines and give the record a new id. {TO_YOU}"
        findings.append(_said(domain, FAIL if enforced else WARN, "wrong", what, evidence, hint))
    return findings


def _mode(domain: str, policy: Policy, text: str) -> Finding:
    if policy.mode == "testing":
        what = "The MTA-STS policy is only a test: mail to the domain may still arrive without encryption."
        return _said(domain, OK, "present", what, text[:2000])
    if policy.mode == "none":
        what = "The MTA-STS policy says none: it takes MTA-STS back, and mail to the domain needs no encryption."
        return _said(domain, OK, "present", what, text[:2000])
    if policy.max_age < 86_400:
        what = "The MTA-STS policy is remembered for less than a day, which gives little protection."
        return _said(domain, WARN, "present", what, text[:2000], f"A max_age of 604800 or more is usual. {TO_YOU}")
    return _said(
        domain, OK, "present", "The MTA-STS policy is in force: mail to the domain comes encrypted.", text[:2000]
    )

"""DMARC by RFC 9989 (tree walk) and as receivers before it do (public suffix list). Pure over a Lookup."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.deliverability.answers import Answer, Lookup
from gateway.deliverability.findings import FAIL, OK, UNKNOWN, WARN, Finding, Publish, Sender, record

POLICIES = ("none", "quarantine", "reject")
WALK = 8  # queries of one walk
REMOVED = {"pct", "rf", "ri"}

OrgDomain = Callable[[str], str]  # a name -> its organisational domain by the public suffix list, "" for a suffix


@dataclass(frozen=True)
class Policy:
    """The record in force for a domain, where it stands, and the organisational domain of the walk."""

    at: str = ""
    text: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    organisation: str = ""
    unread: Answer | None = None  # an answer that did not come, on the way
    several: tuple[str, ...] = ()

    def tag(self, name: str, default: str = "") -> str:
        return dict(self.tags).get(name, default)


def tags(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (part.split("=", 1) for part in text.split(";") if "=" in part)
    return tuple((name.strip().lower(), value.strip()) for name, value in pairs)


def is_dmarc(text: str) -> bool:
    return re.match(r"\s*v\s*=\s*DMARC1\s*(;|$)", text) is not None


def steps(domain: str) -> list[str]:
    """The names a tree walk asks, the domain first; from nine labels on it jumps to the last seven."""
    labels = domain.split(".")
    rest = labels[-7:] if len(labels) > WALK else labels[1:]
    return [domain, *(".".join(rest[start:]) for start in range(len(rest)))][:WALK]


def discover(domain: str, lookup: Lookup) -> Policy:
    """Policy discovery and organisational domain, RFC 9989 sections 4.10.1 and 4.10.2."""
    found: list[tuple[str, str]] = []
    several: tuple[str, ...] = ()
    unread = None
    organisation = ""
    for name in steps(domain):
        answer = lookup(f"_dmarc.{name}", "TXT")
        if not answer.known:
            unread = unread or answer
        texts = tuple(text for text in answer.values if is_dmarc(text))
        if len(texts) > 1 and name == domain:
            several = texts
        if len(texts) != 1:
            continue
        found.append((name, texts[0]))
        psd = dict(tags(texts[0])).get("psd", "u").lower()
        if psd == "n":
            organisation = name
            break
        if psd == "y":
            above = name.count(".") + 2
            organisation = name if name == domain else ".".join(domain.split(".")[-above:])
            break
    organisation = organisation or (found[-1][0] if found else domain)
    at, text = next(((n, t) for n, t in found if n == domain), found[-1] if found else ("", ""))
    if at != domain and organisation in dict(found):
        at, text = organisation, dict(found)[organisation]
    return Policy(at, text, tags(text), organisation, unread, several)


def judge(
    domain: str, lookup: Lookup, senders: Sequence[Sender], signs: dict[str, bool | None], by_list: OrgDomain
) -> tuple[list[Finding], list[Publish]]:
    policy, listed = discover(domain, lookup), by_list(domain) or domain
    names = tuple(dict.fromkeys((f"_dmarc.{domain} TXT", f"_dmarc.{policy.at or listed} TXT")))

    def said(state: str, word: str, what: str, evidence: str = "", hint: str = "") -> Finding:
        return Finding("dmarc", state, word, what, evidence, hint, names)

    if policy.several:
        what = f"There are {len(policy.several)} DMARC records, so receivers use none of them."
        return [said(FAIL, "wrong", what, "\n".join(policy.several), "Keep one of them.")], []
    if policy.unread and not policy.text:
        hint = "DNS gave no answer, so nothing is said about it. Check again later."
        return [said(UNKNOWN, "unknown", "The DMARC record could not be read.", policy.unread.detail, hint)], []
    if not policy.text:
        hint = "Large receivers want one from everybody who sends much. Publish the record on this page."
        why = "The DMARC record: it asks receivers for nothing yet. Add rua=mailto:… for their reports."
        wanted = record(f"_dmarc.{listed}", listed, "TXT", "v=DMARC1; p=none", why)
        return [said(WARN, "missing", f"{domain} has no DMARC record.", hint=hint)], [wanted]
    findings = _record(domain, policy, said)
    if policy.organisation != listed:
        what = f"New and old receivers find different organisations: {policy.organisation} and {listed}."
        hint = "The first is found by the tree walk of RFC 9989, the second by the public suffix list. "
        hint += f"A DMARC record at _dmarc.{listed} with psd=n makes them agree."
        findings.append(said(WARN, "present", what, hint=hint))
    findings += _reports(policy, lookup, by_list, said)
    findings += _alignment(domain, policy, senders, signs, said)
    return findings, []


def _record(domain: str, policy: Policy, said) -> list[Finding]:
    own = policy.tag("p", "none")
    wanted = (own if policy.at == domain else policy.tag("sp", own)).lower()
    where = f"_dmarc.{policy.at}: {policy.text}"
    faults = [f"{n}={policy.tag(n)}" for n in ("p", "sp", "np") if policy.tag(n, "none").lower() not in POLICIES]
    faults += [f"{n}={policy.tag(n)}" for n in ("adkim", "aspf") if policy.tag(n, "r").lower() not in ("r", "s")]
    if faults:
        what = f"The DMARC record says {', '.join(faults)}, which means nothing."
        return [said(FAIL, "wrong", what, where, f"A policy is one of {', '.join(POLICIES)}; alignment is r or s.")]
    findings = [said(OK, "present", f"DMARC is there; mail that fails it: {_policy(wanted)}.", where)]
    old = sorted(REMOVED & {name for name, _ in policy.tags})
    if old:
        what = f"The DMARC record uses {', '.join(old)}, which RFC 9989 took out."
        findings.append(
            said(WARN, "present", what, where, "Only older receivers still follow it; leave it or drop it.")
        )
    if policy.tag("t").lower() == "y" and wanted != "none":
        what = "The DMARC policy is only a test (t=y): newer receivers do not apply it."
        findings.append(said(WARN, "present", what, where, "Take t=y out when the reports look right."))
    if not re.match(r"\s*v\s*=\s*DMARC1\s*;\s*p\s*=", policy.text):
        what = "p= does not stand right after v=DMARC1, where older receivers want it."
        findings.append(said(WARN, "present", what, where, "Begin the record with v=DMARC1; p=…"))
    return findings


def _policy(word: str) -> str:
    return {"none": "nothing happens to it", "quarantine": "goes to spam", "reject": "is refused"}[word]


def _reports(policy: Policy, lookup: Lookup, by_list: OrgDomain, said) -> list[Finding]:
    findings = []
    uris = [uri.strip() for tag in ("rua", "ruf") for uri in policy.tag(tag).split(",") if uri.strip()]
    targets = {}
    for uri in uris:
        found = re.fullmatch(r"mailto:[^@]+@([^!?]+)(?:!\w+)?(?:\?.*)?", uri, re.I)
        if not found:
            what = "The DMARC record names a report address that is none."
            findings.append(said(WARN, "wrong", what, uri, "It must begin with mailto: and hold an address."))
        else:
            targets[found[1].lower().rstrip(".")] = uri
    ours = by_list(policy.at) or policy.at
    for target, uri in targets.items():
        if (by_list(target) or target) == ours:
            continue
        name = f"{policy.at}._report._dmarc.{target}"
        answer = lookup(name, "TXT")
        if not answer.known:
            what = f"Whether {target} takes these reports could not be read."
            findings.append(said(UNKNOWN, "unknown", what, answer.detail or name, "Check again later."))
        elif not any(is_dmarc(text) for text in answer.values):
            what = f"{target} does not say that it takes DMARC reports about {policy.at}, so none are sent there."
            hint = f"Whoever runs {target} publishes a TXT record v=DMARC1 at {name}."
            findings.append(said(WARN, "missing", what, uri, hint))
    return findings


def _alignment(domain: str, policy: Policy, senders: Sequence[Sender], signs, said) -> list[Finding]:
    findings = []
    for sender in senders:
        if not sender.dns:
            continue
        by_spf = sender.dns.spf_needed == "root"
        by_key = signs.get(sender.label)
        if by_key and by_spf:
            what = f"Mail through {sender.label} passes DMARC by SPF and by DKIM."
            findings.append(said(OK, "present", what))
        elif by_key:
            what = f"Mail through {sender.label} passes DMARC by DKIM; SPF passes for another domain."
            findings.append(said(OK, "present", what))
        elif by_spf:
            what = f"Mail through {sender.label} passes DMARC by SPF alone, which forwarding breaks."
            hint = "A working DKIM key makes it survive."
            if by_key is False and sender.unsigned:
                hint = "Nobody signs it; mail sent through a provider with a sign-in survives."
            findings.append(said(WARN, "present", what, hint=hint))
        elif by_key is False:
            what = f"Mail from {domain} through {sender.label} fails DMARC: no key signs for the domain."
            hint = f"Publish the DKIM records: the envelope of {sender.label}'s mail is another domain."
            findings.append(said(FAIL, "missing", what, hint=hint))
        else:
            what = f"Whether mail through {sender.label} passes DMARC is not known: it depends on its DKIM key."
            findings.append(said(UNKNOWN, "unknown", what, hint="Add the selector to have it checked."))
    return findings

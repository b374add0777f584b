"""Everything that is said about a sending domain. Pure over a Lookup."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.deliverability import blocklists, dkim, dmarc, listings, mtasts, mx, origins, spfcheck
from gateway.deliverability.answers import Lookup, valid_name
from gateway.deliverability.blocklists import Blocklist
from gateway.deliverability.findings import FAIL, OK, UNKNOWN, WARN, Finding, Publish, Report, Sender, record


@dataclass(frozen=True)
class Scope:
    """What a check looks at beside the records. selectors: DKIM keys somebody named. lists: blocklists to ask.
    fetch: gets an MTA-STS policy; None: it is not fetched. policy: what the check before left for comparison."""

    selectors: tuple[str, ...] = ()
    lists: tuple[Blocklist, ...] = ()
    fetch: mtasts.Fetch | None = None
    policy: dict = field(default_factory=dict)


PLAIN = Scope()


def check(
    domain: str, lookup: Lookup, senders: Sequence[Sender], by_list: dmarc.OrgDomain, scope: Scope = PLAIN
) -> Report:
    """Expected against found. by_list: organisational domains by the public suffix list."""
    if not valid_name(domain):
        what = f"{domain} is no complete domain name."
        return Report(domain, (Finding("mx", FAIL, "wrong", what),))
    presence = mx.judge(domain, lookup)
    if presence.word == "missing" and lookup(domain, "NS").status == "nxdomain":
        what, hint = (
            f"There is no domain {domain}.",
            "Compare the spelling; if it is new, its registration may take a day.",
        )
        return Report(domain, (Finding("mx", FAIL, "missing", what, hint=hint, names=(f"{domain} MX",)),))
    spf_findings, spf_records, tree = spfcheck.judge(domain, lookup, senders)
    key_findings, key_records, signs = dkim.judge(domain, lookup, senders, scope.selectors)
    policy_findings, policy_records = dmarc.judge(domain, lookup, senders, signs, by_list)
    path_findings, path_records = _return_paths(domain, lookup, senders)
    sts_findings, policy = mtasts.judge(domain, lookup, scope.fetch, scope.policy)
    findings = [*spf_findings, *key_findings, *policy_findings, *path_findings, presence, *sts_findings]
    findings += _tls_reports(domain, lookup)
    findings += origins.judge(lookup, senders)
    findings += _listings(domain, lookup, senders, by_list, scope.lists)
    publish = _once([*spf_records, *key_records, *policy_records, *path_records])
    return Report(domain, tuple(dict.fromkeys(findings)), publish, tree.document() if tree else {}, policy)


def names(
    domain: str, senders: Sequence[Sender], by_list: dmarc.OrgDomain, scope: Scope = PLAIN
) -> list[tuple[str, str]]:
    """What a check will ask first, so that it can be asked at once."""
    keys = [*scope.selectors, *dkim.expected(senders)]
    asked = [(domain, "TXT"), (domain, "MX"), (f"_mta-sts.{domain}", "TXT"), (f"_smtp._tls.{domain}", "TXT")]
    asked += [(f"{key}._domainkey.{domain}", "TXT") for key in keys]
    asked += [(f"_dmarc.{name}", "TXT") for name in dmarc.steps(domain)]
    servers = {name for sender in senders for one in sender.origins for name in (one.address, one.helo)}
    asked += [(name, kind) for name in sorted(servers) if valid_name(name) for kind in ("A", "AAAA")]
    return asked + blocklists.questions(scope.lists, domain, by_list(domain) or domain)


def _listings(
    domain: str, lookup: Lookup, senders: Sequence[Sender], by_list: dmarc.OrgDomain, lists: Sequence[Blocklist]
) -> list[Finding]:
    """Last of all, so that silent lists cost the rest of the check nothing."""
    if not lists:
        return []
    findings = listings.of_domain(domain, by_list(domain) or domain, lists, lookup)
    seen = origins.public([sender for sender in senders if sender.delivers], lookup)
    relayed = origins.public([sender for sender in senders if sender.unsigned and not sender.delivers], lookup)
    findings += listings.of_addresses(seen, lists, lookup, delivers=True)
    rest = {address: names for address, names in relayed.items() if address not in seen}
    return findings + listings.of_addresses(rest, lists, lookup, delivers=False)


def _once(records: list[Publish]) -> tuple[Publish, ...]:
    return tuple({(r.name, r.kind, r.value): r for r in records}.values())


def _return_paths(domain: str, lookup: Lookup, senders: Sequence[Sender]) -> tuple[list[Finding], list[Publish]]:
    findings, publish = [], []
    for sender in senders:
        path = sender.dns.return_path if sender.dns else None
        if not path or not path.name:
            continue
        name, wanted = f"{path.name}.{domain}", []
        why = f"The bounce domain of {sender.label}."
        if path.cname and path.cname != "?":
            wanted.append(record(name, domain, "CNAME", path.cname, why, optional=path.optional))
        if path.mx and ("{region}" not in path.mx or sender.region):
            host = path.mx.replace("{region}", sender.region)
            wanted.append(record(name, domain, "MX", f"10 {host}", why, optional=path.optional))
        if path.spf_include:
            text = f"v=spf1 include:{path.spf_include} ~all"
            wanted.append(record(name, domain, "TXT", text, why, optional=path.optional))
        for one in wanted:
            finding = _bounce(one, lookup, sender.label)
            findings.append(finding)
            if finding.word in ("missing", "wrong", "optional"):
                publish.append(one)
    return findings, publish


def _bounce(wanted: Publish, lookup: Lookup, label: str) -> Finding:
    answer = lookup(wanted.name, wanted.kind)
    evidence = f"{wanted.name} {wanted.kind} {', '.join(answer.values)}".strip()

    def said(state: str, word: str, what: str, hint: str = "") -> Finding:
        return Finding("return-path", state, word, what, evidence, hint, (f"{wanted.name} {wanted.kind}",))

    if not answer.known:
        return said(UNKNOWN, "unknown", f"The bounce domain of {label} could not be read.", "Check again later.")
    values = [value.lower() for value in answer.values]
    if wanted.kind == "TXT":
        include = wanted.value.split(" ")[1].lower()
        right = any(include in value.split(" ") for value in values)
    else:
        right = values == [wanted.value]
    if right:
        return said(OK, "present", f"The bounce domain of {label} is there ({wanted.kind}).")
    others = [value for value in values if wanted.kind != "TXT" or value.startswith("v=spf1")]
    if others:
        what = f"The bounce domain of {label} has another {wanted.kind} record."
        return said(FAIL, "wrong", what, f"It should be {wanted.value}.")
    if wanted.optional:
        return said(OK, "optional", f"{label} can use a bounce domain of yours; mail is delivered without it.")
    return said(FAIL, "missing", f"The bounce domain of {label} has no {wanted.kind} record.", "Publish it.")


_RPT = re.compile(r"v=TLSRPTv1;\s*rua=(mailto:|https://)\S+\s*(;.*)?")


def _tls_reports(domain: str, lookup: Lookup) -> list[Finding]:
    """Only where somebody published them."""
    name = f"_smtp._tls.{domain}"
    texts = [text for text in lookup(name, "TXT").values if text.startswith("v=TLSRPTv1")]
    if len(texts) == 1 and _RPT.fullmatch(texts[0]):
        return [Finding("tls", OK, "present", "TLS reporting is announced.", texts[0], names=(f"{name} TXT",))]
    if texts:
        what = "The TLS reporting record cannot be read by other mail servers."
        return [Finding("tls", WARN, "wrong", what, "\n".join(texts), mtasts.TO_YOU, (f"{name} TXT",))]
    return []

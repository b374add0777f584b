"""Everything that is said about a sending domain. Pure over a Lookup."""

import re
from collections.abc import Sequence

from gateway.deliverability import dkim, dmarc, spfcheck
from gateway.deliverability.answers import Lookup, valid_name
from gateway.deliverability.findings import FAIL, OK, UNKNOWN, WARN, Finding, Publish, Report, Sender, record


def check(
    domain: str, lookup: Lookup, senders: Sequence[Sender], by_list: dmarc.OrgDomain, selectors: Sequence[str] = ()
) -> Report:
    """Expected against found. by_list: organisational domains by the public suffix list."""
    if not valid_name(domain):
        what = f"{domain} is no complete domain name."
        return Report(domain, (Finding("mx", FAIL, "wrong", what),))
    presence = _presence(domain, lookup)
    if presence.word == "missing" and lookup(domain, "NS").status == "nxdomain":
        what, hint = (
            f"There is no domain {domain}.",
            "Compare the spelling; if it is new, its registration may take a day.",
        )
        return Report(domain, (Finding("mx", FAIL, "missing", what, hint=hint, names=(f"{domain} MX",)),))
    spf_findings, spf_records, tree = spfcheck.judge(domain, lookup, senders)
    key_findings, key_records, signs = dkim.judge(domain, lookup, senders, selectors)
    policy_findings, policy_records = dmarc.judge(domain, lookup, senders, signs, by_list)
    path_findings, path_records = _return_paths(domain, lookup, senders)
    findings = [*spf_findings, *key_findings, *policy_findings, *path_findings, presence, *_inbound(domain, lookup)]
    publish = _once([*spf_records, *key_records, *policy_records, *path_records])
    return Report(domain, tuple(dict.fromkeys(findings)), publish, tree.document() if tree else {})


def names(domain: str, senders: Sequence[Sender], selectors: Sequence[str] = ()) -> list[tuple[str, str]]:
    """What a check will ask first, so that it can be asked at once."""
    keys = [*selectors, *(one.selector for sender in senders if sender.dns for one in sender.dns.dkim)]
    asked = [(domain, "TXT"), (domain, "MX"), (f"_mta-sts.{domain}", "TXT"), (f"_smtp._tls.{domain}", "TXT")]
    asked += [(f"{key}._domainkey.{domain}", "TXT") for key in keys]
    return asked + [(f"_dmarc.{name}", "TXT") for name in dmarc.steps(domain)]


def _once(records: list[Publish]) -> tuple[Publish, ...]:
    return tuple({(r.name, r.kind, r.value): r for r in records}.values())


def _presence(domain: str, lookup: Lookup) -> Finding:
    mail = lookup(domain, "MX")

    def said(state: str, word: str, what: str, evidence: str = "", hint: str = "") -> Finding:
        return Finding("mx", state, word, what, evidence, hint, (f"{domain} MX",))

    if not mail.known:
        hint = "DNS gave no answer, so nothing is said about it. Check again later."
        return said(UNKNOWN, "unknown", f"The MX records of {domain} could not be read.", mail.detail, hint)
    if any(value.split(" ", 1)[1] == "." for value in mail.values):
        what = f"{domain} says that it takes no mail at all (null MX)."
        hint = "Some receivers refuse mail from such a domain, and bounces are lost. Point its MX to a mailbox."
        return said(WARN, "present", what, "\n".join(mail.values), hint)
    if mail.values:
        return said(OK, "present", "Bounces and replies have somewhere to go.", "\n".join(mail.values))
    addresses = [lookup(domain, kind) for kind in ("A", "AAAA")]
    if any(answer.values for answer in addresses):
        return said(OK, "present", f"{domain} has no MX; mail to it goes to its address.")
    if not all(answer.known for answer in addresses):
        return said(UNKNOWN, "unknown", f"The addresses of {domain} could not be read.", hint="Check again later.")
    hint = "Some receivers and providers refuse mail from a domain that can take none. Publish an MX record."
    return said(FAIL, "missing", f"{domain} has neither MX nor address.", hint=hint)


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


_STS = re.compile(r"v=STSv1;\s*id=[A-Za-z0-9]{1,32}\s*(;.*)?")
_RPT = re.compile(r"v=TLSRPTv1;\s*rua=(mailto:|https://)\S+\s*(;.*)?")


def _inbound(domain: str, lookup: Lookup) -> list[Finding]:
    """MTA-STS and TLS reports, only where somebody published them."""
    findings = []
    rows = (("_mta-sts", "v=STSv1", _STS, "MTA-STS"), ("_smtp._tls", "v=TLSRPTv1", _RPT, "TLS reporting"))
    for prefix, begin, right, label in rows:
        name = f"{prefix}.{domain}"
        texts = [text for text in lookup(name, "TXT").values if text.startswith(begin)]
        if len(texts) == 1 and right.fullmatch(texts[0]):
            findings.append(Finding("tls", OK, "present", f"{label} is announced.", texts[0], names=(f"{name} TXT",)))
        elif texts:
            what, hint = f"The {label} record cannot be read by other mail servers.", "It only concerns mail to you."
            findings.append(Finding("tls", WARN, "wrong", what, "\n".join(texts), hint, (f"{name} TXT",)))
    return findings

"""Where bounces and replies go: MX records, the hosts they name, or the domain's own address. Pure over a Lookup."""

import ipaddress

from gateway.deliverability.answers import Lookup
from gateway.deliverability.findings import FAIL, OK, UNKNOWN, WARN, Finding

HOSTS = 5  # that are looked at; more of them are no worse


def judge(domain: str, lookup: Lookup) -> Finding:
    mail = lookup(domain, "MX")

    def said(state: str, word: str, what: str, evidence: str = "", hint: str = "") -> Finding:
        return Finding("mx", state, word, what, evidence, hint, (f"{domain} MX",))

    if not mail.known:
        hint = "DNS gave no answer, so nothing is said about it. Check again later."
        return said(UNKNOWN, "unknown", f"The MX records of {domain} could not be read.", mail.detail, hint)
    hosts = [value.split(" ", 1)[1] for value in mail.values]
    if "." in hosts:
        what = f"{domain} says that it takes no mail at all (null MX)."
        hint = "Some receivers refuse mail from such a domain, and bounces are lost. Point its MX to a mailbox."
        return said(WARN, "present", what, "\n".join(mail.values), hint)
    if hosts:
        return _hosts(hosts, "\n".join(mail.values), lookup, said)
    addresses = [lookup(domain, kind) for kind in ("A", "AAAA")]
    if any(answer.values for answer in addresses):
        return said(OK, "present", f"{domain} has no MX; mail to it goes to its address.")
    if not all(answer.known for answer in addresses):
        return said(UNKNOWN, "unknown", f"The addresses of {domain} could not be read.", hint="Check again later.")
    hint = "Some receivers and providers refuse mail from a domain that can take none. Publish an MX record."
    return said(FAIL, "missing", f"{domain} has neither MX nor address.", hint=hint)


def _hosts(hosts: list[str], evidence: str, lookup: Lookup, said) -> Finding:
    """One that works is enough; whoever meets another first waits and tries again."""
    faults = {host: fault for host in hosts[:HOSTS] if (fault := _fault(host, lookup))}
    told = next(iter(faults.items()), None)
    if told and len(faults) == len(hosts):
        hint = "Bounces and replies are lost, and some receivers refuse the domain. Name a mail server that exists."
        return said(FAIL, "wrong", f"Mail to this domain goes nowhere: its MX {told[0]} {told[1]}.", evidence, hint)
    if told:
        hint = "Correct that record or take it out; the others work."
        return said(WARN, "wrong", f"One of the MX records is of no use: {told[0]} {told[1]}.", evidence, hint)
    alias = next((host for host in hosts[:HOSTS] if lookup(host, "A").alias), "")
    if alias:
        hint = "Some mail servers refuse that. Name the host it stands for."
        return said(WARN, "present", f"The MX {alias} is an alias, and an MX must not be one.", evidence, hint)
    return said(OK, "present", "Bounces and replies have somewhere to go.", evidence)


def _fault(host: str, lookup: Lookup) -> str:
    """Why no mail server is reached there; "" when one may be."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "has no address" if all(lookup(host, kind).void for kind in ("A", "AAAA")) else ""
    return "is an address, where a name belongs"

"""What to say about blocklists: of the domain, and of servers whose own address counts. Pure over a Lookup."""

from collections.abc import Mapping, Sequence

from gateway.deliverability import blocklists
from gateway.deliverability.answers import Lookup
from gateway.deliverability.blocklists import CLEAN, LISTED, POLICY, UNUSABLE, Blocklist, Verdict
from gateway.deliverability.findings import FAIL, OK, UNKNOWN, WARN, Finding

Asked = tuple[Blocklist, Verdict]


def of_domain(domain: str, registered: str, lists: Sequence[Blocklist], lookup: Lookup) -> list[Finding]:
    """registered: the domain as it was registered, which is all that some lists know."""
    asked = []
    for one in blocklists.of_domains(lists):
        what = registered if one.registered else domain
        asked.append((one, blocklists.ask(one, what, lookup)))
    findings = [_domain(domain, one, verdict) for one, verdict in asked if verdict.status == LISTED]
    return findings + _rest(domain, asked)


def of_addresses(
    servers: Mapping[str, Sequence[str]], lists: Sequence[Blocklist], lookup: Lookup, *, delivers: bool
) -> list[Finding]:
    """servers: address -> names of the servers behind it. delivers: receivers see these addresses, or may."""
    findings = []
    for address, names in servers.items():
        text = blocklists.label(address)
        asked = [(one, blocklists.ask(one, text, lookup)) for one in blocklists.of_address(lists, address)]
        who = f"{address} ({', '.join(names)})"
        for one, verdict in asked:
            if verdict.status == LISTED:
                findings += _address(who, one, verdict, delivers=delivers)
        findings += _rest(who, asked)
    return findings


def _domain(domain: str, one: Blocklist, verdict: Verdict) -> Finding:
    state = FAIL if any(code.state == FAIL for code in verdict.codes) else WARN
    reasons = "; ".join(code.what for code in verdict.codes)
    what = f"{domain} is on the blocklist {one.name}: {reasons}."
    evidence = f"{verdict.asked} → {verdict.detail}"
    hint = f"Receivers that use the list refuse mail that names the domain. {one.off}"
    return Finding("blocklist", state, "wrong", what, evidence, hint, _names(verdict), one.page)


def _address(who: str, one: Blocklist, verdict: Verdict, *, delivers: bool) -> list[Finding]:
    evidence = f"{verdict.asked} → {verdict.detail}"
    findings = []
    policy = [code for code in verdict.codes if code.state == POLICY]
    accused = [code for code in verdict.codes if code.state != POLICY]
    if accused:
        state = FAIL if delivers and any(code.state == FAIL for code in accused) else WARN
        reasons = "; ".join(f"{code.what} ({code.part})" if code.part else code.what for code in accused)
        what = f"{who} is on the blocklist {one.name}: {reasons}."
        effect = "Receivers that use the list refuse its mail." if delivers else "Something there sends spam."
        hint = f"{effect} {one.off}"
        findings.append(Finding("blocklist", state, "wrong", what, evidence, hint, _names(verdict), one.page))
    if policy and delivers:
        what = f"{who} stands on {one.name} as an address that sends no mail itself ({policy[0].part})."
        hint = "That is no accusation, yet receivers may refuse its mail. "
        hint += "Take it off the list, or send through a provider with a sign-in."
        findings.append(Finding("blocklist", WARN, "wrong", what, evidence, hint, _names(verdict), one.page))
    elif policy:
        what = f"{who} stands on {one.name} as an address that sends no mail itself ({policy[0].part}). "
        what += "That does not matter: it hands its mail to a relay."
        findings.append(Finding("blocklist", OK, "optional", what, evidence, names=_names(verdict)))
    return findings


def _rest(who: str, asked: Sequence[Asked]) -> list[Finding]:
    findings = []
    clean = [(one, verdict) for one, verdict in asked if verdict.status == CLEAN]
    if clean:
        what = f"{who} is not on {_either([one.name for one, _ in clean])}."
        findings.append(Finding("blocklist", OK, "present", what, names=_all(clean)))
    unusable = [(one, verdict) for one, verdict in asked if verdict.status == UNUSABLE]
    if unusable:
        names = _either([one.name for one, _ in unusable])
        what = f"Whether {who} is on {names} is not known: your resolver cannot ask."
        evidence = "\n".join(f"{one.name}: {verdict.detail}" for one, verdict in unusable)
        hint = "Nothing is wrong with the domain by that. A resolver of your own (unbound, for example) may ask; "
        hint += "FLEETPOST_BLOCKLISTS=false stops asking."
        findings.append(Finding("blocklist", UNKNOWN, "unknown", what, evidence, hint, _all(unusable)))
    return findings


def _names(verdict: Verdict) -> tuple[str, ...]:
    return (f"{verdict.asked} A",)


def _all(asked: Sequence[Asked]) -> tuple[str, ...]:
    return tuple(name for _, verdict in asked for name in _names(verdict))


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]

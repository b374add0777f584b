"""SPF of a sending domain: what is published, against what its providers need. Pure over a Lookup."""

from collections.abc import Mapping, Sequence

from gateway.deliverability import origins, spftree
from gateway.deliverability import spfgrammar as grammar
from gateway.deliverability.answers import Lookup
from gateway.deliverability.findings import FAIL, OK, UNKNOWN, WARN, Finding, Publish, Sender, record
from gateway.deliverability.spf import MAX_LOOKUPS, MAX_VOID, check_host

NEAR = 9  # from here on the next include of a provider breaks the record


def judge(
    domain: str, lookup: Lookup, senders: Sequence[Sender]
) -> tuple[list[Finding], list[Publish], spftree.Node | None]:
    answer = lookup(domain, "TXT")
    if not answer.known:
        what = f"The SPF record of {domain} could not be read."
        hint = "DNS gave no answer, so nothing is said about it. Check again later."
        return [_finding(UNKNOWN, "unknown", what, domain, answer.detail, hint)], [], None
    texts = tuple(text for text in answer.values if grammar.is_spf(text))
    needed = tuple(dict.fromkeys(s.dns.spf_include for s in senders if _at_root(s)))
    servers = origins.public([sender for sender in senders if sender.delivers], lookup)
    if not texts:
        return _none(domain, answer.values, needed, senders, servers)
    tree = spftree.expand(domain, texts[0], lookup)
    reached = _included(tree)
    absent = tuple(name for name in needed if name.lower() not in reached)
    findings = _single(domain, texts, tree) if len(texts) == 1 else [_several(domain, texts)]
    findings += _providers(domain, senders, reached, texts[0])
    left_out = {address: names for address, names in servers.items() if not _allowed(address, domain, texts, lookup)}
    if servers:
        sure = any(sender.delivers and sender.dns for sender in senders)
        findings.append(_servers(domain, servers, left_out, texts[0], sure=sure))
    dead = tuple(dict.fromkeys(term for text in texts for term in _dead(domain, text, lookup)))
    better = spftree.merged(texts, absent, tuple(left_out), dead)
    publish = []
    if better != texts[0] and (absent or left_out or any(f.state == FAIL for f in findings)):
        cost = spftree.expand(domain, better, lookup).total
        why = f"The one SPF record: it costs receivers {cost} of {MAX_LOOKUPS} lookups."
        if dead:
            why += f" {', '.join(dead)} is left out: it leads nowhere."
        if cost > MAX_LOOKUPS:
            why += " That is too many: take out includes of services that no longer send for this domain."
        publish.append(record(domain, domain, "TXT", better, why, replaces=texts))
    return findings, publish, tree if len(texts) == 1 else None  # of several, receivers expand none


def _dead(domain: str, text: str, lookup: Lookup) -> list[str]:
    """Terms that make receivers give up at the whole record."""
    children = spftree.expand(domain, text, lookup).children
    return [node.term for node in children if node.problem.endswith(("has no SPF record", "includes itself"))]


def _at_root(sender: Sender) -> bool:
    return bool(sender.dns and sender.dns.spf_needed == "root" and sender.dns.spf_include)


def _finding(state: str, word: str, what: str, domain: str, evidence: str = "", hint: str = "") -> Finding:
    return Finding("spf", state, word, what, evidence, hint, (f"{domain} TXT",))


def _allowed(address: str, domain: str, texts: tuple[str, ...], lookup: Lookup) -> bool:
    """Also where nobody can tell: a name within the record that gave no answer is said elsewhere."""
    result = check_host(address, f"postmaster@{domain}", domain, lookup).result
    return result in ("pass", "temperror") or any(grammar.address_term(address) in text.split(" ") for text in texts)


def _servers(
    domain: str, servers: Mapping[str, Sequence[str]], left_out: Mapping[str, Sequence[str]], text: str, *, sure: bool
) -> Finding:
    """sure: receivers do see the addresses; else a relay that the panel does not know may stand between."""
    if not left_out:
        what = "The addresses of the servers that send without a sign-in are in the SPF record."
        return _finding(OK, "present", what, domain, _listed(servers))
    what = "The SPF record does not allow servers that send without a sign-in."
    hint = "Put the record on this page in its place: it names their addresses."
    if not sure:
        hint += " It does not matter if their SMTP server hands mail on from an address of its own."
    return _finding(FAIL if sure else WARN, "missing", what, domain, f"{text}\n{_listed(left_out)}", hint)


def _listed(servers: Mapping[str, Sequence[str]]) -> str:
    return "\n".join(f"{grammar.address_term(address)} {', '.join(names)}" for address, names in servers.items())


def _none(
    domain: str,
    values: tuple[str, ...],
    needed: tuple[str, ...],
    senders: Sequence[Sender],
    servers: Mapping[str, Sequence[str]],
):
    near = next((text for text in values if "v=spf1" in text.lower()), "")
    if near:
        what = f"{domain} has a record that is meant to be SPF, and no receiver takes it for one."
        hint = "It must begin with v=spf1 and a space: no quotation marks, blanks or other text before it."
        findings = [_finding(FAIL, "wrong", what, domain, near, hint)]
    elif needed or servers:
        what = f"{domain} has no SPF record."
        findings = [_finding(FAIL, "missing", what, domain, hint="Publish the record on this page.")]
    elif any(s.dns and s.dns.spf_needed != "root" for s in senders):
        what = f"{domain} has no SPF record, and needs none for its providers: mail bears an envelope of their own."
        return [_finding(OK, "optional", what, domain)], [], None
    else:
        what = f"{domain} has no SPF record."
        hint = "What the provider of this domain wants there is not known; its own pages say it."
        return [_finding(WARN, "missing", what, domain, hint=hint)], [], None
    fixed = (near[near.lower().index("v=spf1") :].strip(" \"'"),) if near else ()
    text = spftree.merged(tuple(t for t in fixed if grammar.is_spf(t)), needed, tuple(servers))
    replaces = (near,) if near else ()
    return findings, [record(domain, domain, "TXT", text, "The one SPF record.", replaces=replaces)], None


def _several(domain: str, texts: tuple[str, ...]) -> Finding:
    what = f"{domain} has {len(texts)} SPF records, so receivers use none of them."
    return _finding(FAIL, "wrong", what, domain, "\n".join(texts), "Put the one merged record in place of all of them.")


def _single(domain: str, texts: tuple[str, ...], tree: spftree.Node) -> list[Finding]:
    text = texts[0]
    if tree.problem:
        what = f"Receivers cannot read the SPF record of {domain}: {tree.problem}."
        return [_finding(FAIL, "wrong", what, domain, text, "Put the record on this page in its place.")]
    parsed, found = grammar.parse(text), []
    if parsed.all and parsed.all.qualifier == "+":
        what = f"The SPF record of {domain} allows the whole world to send in its name."
        found.append(_finding(FAIL, "wrong", what, domain, text, "End it with ~all or -all."))
    broken = [node for node in tree.walk() if node.problem and not node.unknown]
    for node in broken:
        what = f"A part of the SPF record leads nowhere: {node.problem}."
        hint = "Receivers give up at this term. Take it out, or correct the name."
        found.append(_finding(FAIL, "wrong", what, domain, node.term, hint))
    found += _cost(domain, text, tree)
    for node in tree.walk():
        if node.unknown:
            what = f"“{node.term}” could not be followed."
            found.append(_finding(UNKNOWN, "unknown", what, domain, node.problem, "DNS gave no answer; check again."))
    found += [_finding(WARN, "present", what, domain, text, hint) for what, hint in _style(parsed)]
    if not found:
        what = f"One SPF record, {tree.total} of {MAX_LOOKUPS} lookups."
        found.append(_finding(OK, "present", what, domain, text))
    return found


def _cost(domain: str, text: str, tree: spftree.Node) -> list[Finding]:
    found = []
    if tree.total > MAX_LOOKUPS:
        what = f"The SPF record costs {tree.total} lookups; receivers give up after {MAX_LOOKUPS}."
        hint = "Take out what no longer sends for this domain. The tree below says what each term costs."
        found.append(_finding(FAIL, "wrong", what, domain, text, hint))
    elif tree.total >= NEAR:
        what = f"The SPF record costs {tree.total} of {MAX_LOOKUPS} lookups."
        hint = "One more provider breaks it: take out what no longer sends for this domain."
        found.append(_finding(WARN, "present", what, domain, text, hint))
    if tree.voids:
        terms = "\n".join(node.term for node in tree.walk() if node.void)
        what = f"{tree.voids} lookup{'s' if tree.voids > 1 else ''} of the SPF record find nothing."
        hint = f"Receivers give up after {MAX_VOID}. Take these terms out."
        found.append(_finding(FAIL if tree.voids > MAX_VOID else WARN, "wrong", what, domain, terms, hint))
    return found


def _style(parsed: grammar.Record) -> list[tuple[str, str]]:
    found = []
    texts = [m.text.lower().lstrip("+") for m in parsed.mechanisms]
    twice = sorted({text for text in texts if texts.count(text) > 1})
    if any(m.name == "ptr" for m in parsed.mechanisms):
        found.append(("The SPF record uses ptr, which receivers may ignore.", "Name the addresses instead."))
    if parsed.all and parsed.all.qualifier == "?":
        found.append(("The SPF record ends with ?all: it says nothing about other senders.", "End it with ~all."))
    if not parsed.all and not parsed.redirect:
        found.append(("The SPF record has no end: other senders are neither allowed nor refused.", "End it with ~all."))
    if parsed.after_all:
        terms = " ".join(m.text for m in parsed.after_all)
        found.append((f"“{terms}” stands after all, where no receiver looks.", "Move it before all."))
    if parsed.all and parsed.redirect:
        found.append(("The redirect= beside all is never followed.", "Take it out."))
    if twice:
        found.append((f"“{' '.join(twice)}” stands twice.", "Take one of them out; each costs a lookup."))
    return found


def _included(tree: spftree.Node) -> set[str]:
    terms = (node.term.lower().lstrip("+-~?") for node in tree.walk())
    return {
        term.split(":" if term.startswith("include:") else "=", 1)[1]
        for term in terms
        if term.startswith(("include:", "redirect="))
    }


def _providers(domain: str, senders: Sequence[Sender], reached: set[str], text: str) -> list[Finding]:
    found = []
    for sender in senders:
        if not sender.dns:
            continue
        include = sender.dns.spf_include
        if not _at_root(sender):
            what = f"{sender.label} needs nothing in this SPF record: the envelope of its mail is another domain."
            if include and sender.dns.spf_needed == "no" and include.lower() in reached:
                what = f"{sender.label} is in the SPF record, which adds a lookup and nothing to DMARC."
            found.append(_finding(OK, "optional", what, domain))
        elif include.lower() in reached:
            what = f"{sender.label} may send: include:{include} is there."
            found.append(_finding(OK, "present", what, domain, f"include:{include}"))
        else:
            what = f"{sender.label} is not in the SPF record."
            hint = f"include:{include} belongs into it; put the record on this page in its place."
            found.append(_finding(FAIL, "missing", what, domain, text, hint))
    return found

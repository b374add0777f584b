"""What an SPF record costs a receiver: the tree of lookups, and the one record that several become. Pure."""

from dataclasses import dataclass

from gateway.deliverability import spfgrammar as grammar
from gateway.deliverability.answers import Lookup
from gateway.deliverability.spf import TempError, published

MAX_NODES = 60  # a tree that costs more than a few times the limit is wrong however it goes on


@dataclass(frozen=True)
class Node:
    """One term, or the record the tree begins with. cost: lookups of this term alone. void: it finds nothing."""

    term: str
    record: str = ""
    cost: int = 0
    void: bool = False
    problem: str = ""
    unknown: bool = False
    children: tuple["Node", ...] = ()

    def walk(self):
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def total(self) -> int:
        return sum(node.cost for node in self.walk())

    @property
    def voids(self) -> int:
        return sum(node.void for node in self.walk())

    def document(self) -> dict:
        return {
            "term": self.term,
            "record": self.record,
            "total": self.total,
            "void": self.void,
            "problem": self.problem,
            "children": [child.document() for child in self.children],
        }


class _Budget:
    def __init__(self):
        self.nodes = 0

    def spent(self) -> bool:
        self.nodes += 1
        return self.nodes > MAX_NODES


def expand(domain: str, text: str, lookup: Lookup) -> Node:
    """The tree of the record `text` at `domain`. Terms with macros are counted and not followed."""
    return _record(domain, domain, text, lookup, (domain.lower(),), 0, _Budget())


def _record(term: str, domain: str, text: str, lookup: Lookup, above: tuple[str, ...], cost: int, budget) -> Node:
    try:
        parsed = grammar.parse(text)
    except grammar.Malformed as error:
        return Node(term, text, cost, problem=str(error))
    children = [_term(m, domain, lookup, above, budget) for m in parsed.mechanisms if m.name in grammar.QUERYING]
    if parsed.redirect and not parsed.all:
        children.append(_follow(f"redirect={parsed.redirect}", parsed.redirect, lookup, above, budget))
    return Node(term, text, cost, children=tuple(children))


def _term(mechanism: grammar.Mechanism, domain: str, lookup: Lookup, above: tuple[str, ...], budget) -> Node:
    target = mechanism.domain or domain
    if mechanism.name == "include":
        return _follow(mechanism.text, target, lookup, above, budget)
    if "%" in target or mechanism.name == "ptr":
        return Node(mechanism.text, cost=1)
    answer = lookup(target.removesuffix("."), "MX" if mechanism.name == "mx" else "A")
    void = answer.void
    if mechanism.name == "a" and void:  # an IPv6-only name is void to IPv4 clients alone
        void = lookup(target.removesuffix("."), "AAAA").void
    problem = f"{target} has more than 10 MX hosts" if mechanism.name == "mx" and len(answer.values) > 10 else ""
    return Node(mechanism.text, cost=1, void=void, unknown=not answer.known, problem=problem)


def _follow(term: str, target: str, lookup: Lookup, above: tuple[str, ...], budget: _Budget) -> Node:
    target = target.removesuffix(".").lower()
    if "%" in target:
        return Node(term, cost=1)
    if target in above:
        return Node(term, cost=1, problem=f"{target} includes itself")
    if budget.spent():
        return Node(term, cost=1, problem="the tree was not followed further")
    try:
        texts = published(target, lookup)
    except TempError as error:
        return Node(term, cost=1, unknown=True, problem=str(error))
    if len(texts) != 1:
        number = "no SPF record" if not texts else f"{len(texts)} SPF records"
        return Node(term, cost=1, void=lookup(target, "TXT").void, problem=f"{target} has {number}")
    return _record(term, target, texts[0], lookup, (*above, target), 1, budget)


def merged(
    texts: tuple[str, ...],
    includes: tuple[str, ...] = (),
    addresses: tuple[str, ...] = (),
    dead: tuple[str, ...] = (),
) -> str:
    """One record that allows what all `texts` allow, the addresses and the includes; terms in `dead` and what cannot be
    read are left out. Never +all."""
    terms: list[str] = []
    ends: list[str] = []
    redirects: list[str] = []
    for text in texts:
        for term in filter(None, text[6:].split(" ")):
            if term in dead:
                continue
            try:
                one = grammar.parse(f"v=spf1 {term}")
            except grammar.Malformed:
                continue
            if one.all:
                ends.append(one.all.qualifier)
            elif one.redirect:
                redirects.append(one.redirect)
            elif term.lower() not in (known.lower() for known in terms):
                terms.append(term)
    present = {term.lower().lstrip("+") for term in terms}
    terms += [term for term in map(grammar.address_term, addresses) if term not in present]
    terms += [f"include:{name}" for name in includes if f"include:{name}".lower() not in present]
    if redirects and not ends and len(set(redirects)) == 1:
        return " ".join(["v=spf1", *terms, f"redirect={redirects[0]}"])
    if not ends:
        terms += [f"include:{name}" for name in dict.fromkeys(redirects)]
    end = "-all" if ends and set(ends) == {"-"} else "~all"
    return " ".join(["v=spf1", *terms, end])

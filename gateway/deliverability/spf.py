"""check_host() of RFC 7208, whole. Pure over a Lookup."""

import ipaddress
from dataclasses import dataclass, replace

from gateway.deliverability import spfgrammar as grammar
from gateway.deliverability.answers import Answer, Lookup, valid_name

MAX_LOOKUPS, MAX_VOID, MAX_NAMES = 10, 2, 10
RESULTS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}


class PermError(Exception):
    """Receivers reject or ignore the record for good."""


class TempError(Exception):
    """DNS gave no answer: nothing can be said."""


@dataclass(frozen=True)
class Outcome:
    """result: none | neutral | pass | fail | softfail | temperror | permerror. explanation: the domain's own words."""

    result: str
    why: str = ""
    explanation: str = ""
    lookups: int = 0
    void: int = 0


def check_host(ip: str, sender: str, helo: str, lookup: Lookup) -> Outcome:
    """What a receiver says to mail from `ip` with this envelope sender ("" for a bounce)."""
    address = ipaddress.ip_address(ip)
    if address.version == 6 and address.ipv4_mapped:
        address = address.ipv4_mapped
    local, _, domain = (sender or f"postmaster@{helo}").rpartition("@")
    check = _Check(address, f"{local or 'postmaster'}@{domain}", helo, lookup)
    try:
        result, explanation = check.host(domain.removesuffix("."))
        why = ""
    except PermError as error:
        result, why, explanation = "permerror", str(error), ""
    except TempError as error:
        result, why, explanation = "temperror", str(error), ""
    return Outcome(result, why, explanation, check.lookups, check.void)


def published(domain: str, lookup: Lookup) -> tuple[str, ...]:
    """The SPF records at `domain`. Raises TempError when DNS gave no answer."""
    answer = lookup(domain, "TXT")
    if not answer.known:
        raise TempError(f"no answer for TXT {domain}: {answer.detail}")
    return tuple(text for text in answer.values if grammar.is_spf(text))


class _Check:
    """One evaluation, with what it has spent so far."""

    def __init__(self, ip, sender: str, helo: str, lookup: Lookup):
        self.ip, self.sender, self.helo, self._lookup = ip, sender, helo, lookup
        self.lookups = self.void = 0

    def host(self, domain: str) -> tuple[str, str]:
        """(result, explanation)"""
        if not valid_name(domain):
            return "none", ""
        texts = published(domain, self._lookup)
        if not texts:
            return "none", ""
        if len(texts) > 1:
            raise PermError(f"{domain} has {len(texts)} SPF records")
        try:
            record = grammar.parse(texts[0])
        except grammar.Malformed as error:
            raise PermError(f"{domain}: {error}") from error
        for mechanism in record.mechanisms:
            if self._matches(mechanism, domain):
                result = RESULTS[mechanism.qualifier]
                return result, self._explain(record, domain) if result == "fail" else ""
        if not record.redirect:
            return "neutral", ""
        self._spend("redirect")
        target = self._target(record.redirect, domain)
        result, explanation = self.host(target)
        if result == "none":
            raise PermError(f"redirect={target} has no SPF record")
        return result, explanation

    def _matches(self, mechanism: grammar.Mechanism, domain: str) -> bool:
        if mechanism.name == "all":
            return True
        if mechanism.network:
            return self.ip.version == mechanism.network.version and self.ip in mechanism.network
        self._spend(mechanism.name)
        target = self._target(mechanism.domain, domain)
        if mechanism.name == "include":
            result, _ = self.host(target)
            if result == "none":
                raise PermError(f"include:{target} has no SPF record")
            return result == "pass"
        if not valid_name(target):
            return False
        return getattr(self, f"_match_{mechanism.name}")(mechanism, target)

    def _match_a(self, mechanism: grammar.Mechanism, target: str) -> bool:
        return self._within(mechanism, self._counted(target, self._family))

    def _match_mx(self, mechanism: grammar.Mechanism, target: str) -> bool:
        names = [value.split(" ", 1)[1] for value in self._counted(target, "MX").values]
        if len(names) > MAX_NAMES:
            raise PermError(f"{target} has more than {MAX_NAMES} MX hosts")
        return any(self._within(mechanism, self._counted(name, self._family)) for name in names if valid_name(name))

    def _match_exists(self, mechanism: grammar.Mechanism, target: str) -> bool:
        return bool(self._counted(target, "A").values)

    def _match_ptr(self, mechanism: grammar.Mechanism, target: str) -> bool:
        return any(_below(name, target) for name in self._names())

    @property
    def _family(self) -> str:
        return "A" if self.ip.version == 4 else "AAAA"

    def _within(self, mechanism: grammar.Mechanism, answer: Answer) -> bool:
        length = mechanism.v4 if self.ip.version == 4 else mechanism.v6
        networks = (ipaddress.ip_network(f"{value}/{length}", strict=False) for value in answer.values)
        return any(self.ip in network for network in networks)

    def _names(self) -> list[str]:
        """The client's host names that lead back to its address."""
        answer = self._lookup(self.ip.reverse_pointer, "PTR")
        if answer.void:
            self._count_void(self.ip.reverse_pointer)
        found = [name for name in answer.values[:MAX_NAMES] if valid_name(name)]
        return [
            n for n in found if any(ipaddress.ip_address(v) == self.ip for v in self._lookup(n, self._family).values)
        ]

    def _validated(self, domain: str) -> str:
        names = self._names()
        closest = [n for n in names if n.lower() == domain.lower()] or [n for n in names if _below(n, domain)] or names
        return closest[0] if closest else "unknown"

    def _target(self, spec: str, domain: str) -> str:
        return grammar.expand_domain(spec, self._now(domain)) if spec else domain

    def _now(self, domain: str) -> grammar.Circumstances:
        return grammar.Circumstances(self.ip, self.sender, self.helo, domain, lambda: self._validated(domain))

    def _counted(self, name: str, kind: str) -> Answer:
        answer = self._lookup(name, kind)
        if not answer.known:
            raise TempError(f"no answer for {kind} {name}: {answer.detail}")
        if answer.void:
            self._count_void(name)
        return answer

    def _count_void(self, name: str) -> None:
        self.void += 1
        if self.void > MAX_VOID:
            raise PermError(f"more than {MAX_VOID} lookups find nothing, the last one {name}")

    def _spend(self, term: str) -> None:
        self.lookups += 1
        if self.lookups > MAX_LOOKUPS:
            raise PermError(f"more than {MAX_LOOKUPS} lookups, the last one for {term}")

    def _explain(self, record: grammar.Record, domain: str) -> str:
        if not record.explanation:
            return ""
        target = self._target(record.explanation, domain)
        answer = self._lookup(target, "TXT") if valid_name(target) else Answer("empty")
        if len(answer.values) != 1 or not answer.values[0].isascii():
            return ""
        now = replace(self._now(domain), domain=domain)
        return grammar.expand_text(answer.values[0], now) or ""


def _below(name: str, domain: str) -> bool:
    name, domain = name.lower(), domain.lower()
    return name == domain or name.endswith(f".{domain}")

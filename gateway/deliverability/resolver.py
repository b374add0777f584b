"""The wire: the panel's own resolver, and the name servers of the zone itself. Only here is DNS asked."""

import ipaddress
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver

from gateway.deliverability.answers import EMPTY, FOUND, NXDOMAIN, UNKNOWN, Answer, valid_name
from gateway.deliverability.findings import Spread

TIMEOUT, DEADLINE, QUESTIONS, SERVERS, THREADS = 2.0, 25.0, 250, 3, 8


class Asking:
    """Answers for one check: each question goes out once, at most QUESTIONS of them within DEADLINE seconds.

    resolver: a dns.resolver.Resolver, the system's by default. private: whether name servers at addresses of the local
    network may be asked directly; else only the resolver is believed there."""

    def __init__(self, domain: str, resolver: dns.resolver.Resolver | None = None, *, private: bool = False):
        self._resolver = resolver or dns.resolver.Resolver()
        self._resolver.timeout, self._resolver.lifetime = TIMEOUT, 2 * TIMEOUT
        self._private, self._left = private, QUESTIONS
        self._until = time.monotonic() + DEADLINE
        self._cached: dict[tuple[str, str], Answer] = {}
        self._sourced: dict[tuple[str, str], Answer] = {}
        self.zone, self.servers = self._authority(domain)

    def __call__(self, name: str, kind: str) -> Answer:
        """What the zone's own servers say, for names in it; the resolver's answer for all others."""
        name = name.lower().rstrip(".")
        if not (self.servers and (name == self.zone or name.endswith(f".{self.zone}"))):
            return self.cached(name, kind)
        if (name, kind) not in self._sourced:
            answer = self._at_source(name, kind)
            self._sourced[name, kind] = answer or self.cached(name, kind)
        return self._sourced[name, kind]

    def cached(self, name: str, kind: str) -> Answer:
        key = (name.lower().rstrip("."), kind)
        if key not in self._cached:
            self._cached[key] = self._resolve(*key)
        return self._cached[key]

    def prefetch(self, questions: Sequence[tuple[str, str]]) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda question: (self(*question), self.cached(*question)), questions))

    def spreads(self) -> list[Spread]:
        """Names whose answer at the source is not yet the resolver's. Only what both were asked for."""
        found = []
        for key, source in self._sourced.items():
            cached = self._cached.get(key)
            if cached and cached.known and source.known and _judged(*key, cached) != _judged(*key, source):
                found.append(Spread(*key, cached.ttl))
        return found

    def _spent(self) -> bool:
        self._left -= 1
        return self._left < 0 or time.monotonic() > self._until

    def _resolve(self, name: str, kind: str) -> Answer:
        if not valid_name(name) and kind != "NS":
            return Answer(NXDOMAIN)
        if self._spent():
            return Answer(UNKNOWN, detail="the check had asked enough")
        try:
            answer = self._resolver.resolve(f"{name}.", kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN as error:
            responses = error.kwargs.get("responses", {})
            return Answer(NXDOMAIN, ttl=max((_negative(r) for r in responses.values()), default=0))
        except (dns.resolver.NoNameservers, dns.resolver.YXDOMAIN):
            return Answer(UNKNOWN, detail="the resolver answered SERVFAIL or refused")
        except (dns.exception.Timeout, dns.resolver.NoResolverConfiguration, OSError):
            return Answer(UNKNOWN, detail="the resolver did not answer in time")
        except (dns.exception.DNSException, ValueError):
            return Answer(UNKNOWN, detail="the answer could not be read")
        return _read(answer.response, name, kind)

    def _authority(self, domain: str) -> tuple[str, list[str]]:
        """The zone that holds `domain` and addresses of its name servers; none when they cannot be found."""
        labels = domain.lower().rstrip(".").split(".")
        for start in range(max(len(labels) - 1, 1)):
            zone = ".".join(labels[start:])
            answer = self.cached(zone, "NS")
            if not answer.known:
                return zone, []
            if answer.values:
                hosts = answer.values[:SERVERS]
                addresses = [value for host in hosts for value in self.cached(host, "A").values[:1]]
                return zone, [a for a in addresses if self._private or ipaddress.ip_address(a).is_global]
        return domain, []

    def _at_source(self, name: str, kind: str) -> Answer | None:
        """None when no server of the zone speaks for this name: unreachable, or it is delegated on."""
        for address in list(self.servers):
            if self._spent():
                return None
            try:
                query = dns.message.make_query(f"{name}.", kind)
                query.flags &= ~dns.flags.RD
                port = self._resolver.port
                response, _ = dns.query.udp_with_fallback(query, address, timeout=TIMEOUT, port=port)
            except (dns.exception.DNSException, OSError, ValueError):
                self.servers = [server for server in self.servers if server != address]  # silent once is enough
                continue
            if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) or not response.flags & dns.flags.AA:
                continue
            answer = _read(response, name, kind)
            if answer.alias and not answer.values and kind != "CNAME":
                target = self.cached(answer.alias, kind)
                return Answer(target.status, target.values, answer.ttl, answer.alias, target.detail)
            return answer
        return None


def _judged(name: str, kind: str, answer: Answer) -> list[str]:
    """The values a check looks at: a domain's TXT records are SPF and much else."""
    plain = kind == "TXT" and "_" not in name
    return sorted(value for value in answer.values if not plain or "spf1" in value.lower())


def _read(response: dns.message.Message, name: str, kind: str) -> Answer:
    asked, alias, ttl = dns.name.from_text(f"{name}."), "", None
    wanted = dns.rdatatype.from_text(kind)
    for _ in range(9):
        rrset = response.get_rrset(response.answer, asked, 1, wanted)
        if rrset is not None:
            values = tuple(_text(rdata, kind) for rdata in rrset)
            return Answer(FOUND, values, rrset.ttl if ttl is None else min(ttl, rrset.ttl), alias)
        cname = response.get_rrset(response.answer, asked, 1, dns.rdatatype.CNAME)
        if cname is None or kind == "CNAME":
            break
        asked = cname[0].target
        ttl = cname.ttl if ttl is None else min(ttl, cname.ttl)
        alias = alias or str(asked).rstrip(".").lower()
    gone = response.rcode() == dns.rcode.NXDOMAIN
    return Answer(NXDOMAIN if gone else EMPTY, ttl=_negative(response), alias=alias)


def _negative(response: dns.message.Message) -> int:
    """Seconds a "no" is remembered."""
    soa = next((rrset for rrset in response.authority if rrset.rdtype == dns.rdatatype.SOA), None)
    return min(soa.ttl, soa[0].minimum) if soa is not None else 0


def _text(rdata, kind: str) -> str:
    if kind == "TXT":
        return b"".join(rdata.strings).decode("latin-1")
    if kind == "MX":
        return f"{rdata.preference} {str(rdata.exchange).rstrip('.').lower() or '.'}"
    return str(rdata).rstrip(".").lower() if kind in ("CNAME", "NS", "PTR") else str(rdata)

"""The wire: the panel's own resolver, and the name servers of the zone itself. Only here is DNS asked."""

import time
from collections.abc import Iterable, Sequence
from typing import TypeGuard

import dns.message
import dns.resolver

from gateway.deliverability import reading
from gateway.deliverability.answers import NXDOMAIN, UNKNOWN, Answer, valid_name
from gateway.deliverability.exchange import SILENT, UNCHECKED, Question, exchange
from gateway.deliverability.findings import Spread
from gateway.deliverability.known import Known
from servers.remote.addresses import is_public

TIMEOUT, DEADLINE, QUESTIONS, SERVERS = 2.0, 25.0, 250, 3
_SPENT = Answer(UNKNOWN, detail="the check had asked enough")
_REFUSED = Answer(UNKNOWN, detail="the resolver answered SERVFAIL or refused")
_FORGED = Answer(UNKNOWN, detail="the resolver tells it only without a look at DNSSEC: the signatures seem wrong")
_EVERYWHERE = Known()  # by the resolver of this machine


class Asking:
    """Answers for one check: each question goes out once, at most QUESTIONS of them within DEADLINE seconds.

    resolver: whose name servers are asked, those of this machine by default. private: whether name servers at addresses
    of the local network may be asked directly; else only the resolver is believed there. known: shared by checks that
    use the same resolver."""

    def __init__(
        self,
        domain: str,
        resolver: dns.resolver.Resolver | None = None,
        *,
        private: bool = False,
        known: Known | None = None,
    ):
        self._known = known or (_EVERYWHERE if resolver is None else Known())
        self._resolvers, self._port = _resolvers(resolver)
        self._private, self._left = private, QUESTIONS
        self._until = time.monotonic() + DEADLINE
        self._cached: dict[Question, Answer] = {}
        self._sourced: dict[Question, Answer] = {}
        self.zone, self.servers = domain.lower().rstrip("."), []
        self._find_authority()

    def __call__(self, name: str, kind: str) -> Answer:
        """What the zone's own servers say, for names in it; the resolver's answer for all others."""
        key = _key(name, kind)
        if not (self.servers and self._ours(key)):
            return self.cached(*key)
        self._ask_source([key])
        return self._sourced[key]

    def cached(self, name: str, kind: str) -> Answer:
        key = _key(name, kind)
        self._ask_resolver([key])
        return self._cached[key]

    def prefetch(self, questions: Sequence[Question]) -> None:
        """Asks all of them at once, of the resolver and of the zone's own servers."""
        keys = [_key(*question) for question in questions]
        self._ask_resolver(keys)
        if self.servers:
            self._ask_source([key for key in keys if self._ours(key)])

    def spreads(self) -> list[Spread]:
        """Names whose answer at the source is not yet the resolver's. Only what both were asked for."""
        found = []
        for key, source in self._sourced.items():
            cached = self._cached.get(key)
            if cached and cached.known and source.known and _judged(*key, cached) != _judged(*key, source):
                found.append(Spread(*key, cached.ttl))
        return found

    def _ours(self, key: Question) -> bool:
        return key[0] == self.zone or key[0].endswith(f".{self.zone}")

    def _find_authority(self) -> None:
        """The zone that holds the domain and addresses of its name servers; none when they cannot be found."""
        labels = (domain := self.zone).split(".")
        for start in range(max(len(labels) - 1, 1)):
            self.zone = ".".join(labels[start:])
            answer = self.cached(self.zone, "NS")
            if answer.values:
                hosts = [(host, "A") for host in answer.values[:SERVERS]]
                self._ask_resolver(hosts)
                addresses = [value for host in hosts for value in self._cached[host].values[:1]]
                self.servers = [a for a in addresses if self._private or is_public(a)]
            if answer.values or not answer.known:
                return
        self.zone = domain

    def _afford(self, wanted: Iterable[Question]) -> list[Question]:
        """As many of them as this check may still ask."""
        chosen = list(wanted)[: max(0, self._left)] if self._patience() else []
        self._left -= len(chosen)
        return chosen

    def _patience(self) -> float:
        return max(0.0, min(TIMEOUT, self._until - time.monotonic()))

    def _ask_resolver(self, keys: Iterable[Question]) -> None:
        """Sees to it that `_cached` holds each of them."""
        wanted = []
        for key in dict.fromkeys(keys):
            if key in self._cached:
                continue
            if not valid_name(key[0]) and key[1] != "NS":
                self._cached[key] = Answer(NXDOMAIN)
            elif not self._ours(key) and (answer := self._known.get(key)):
                self._cached[key] = answer
            else:
                wanted.append(key)
        for key, answer in self._resolved(self._afford(wanted)).items():
            self._cached[key] = answer
            if not self._ours(key):
                self._known.put(key, answer)
        for key in wanted:
            self._cached.setdefault(key, _SPENT)

    def _resolved(self, keys: list[Question]) -> dict[Question, Answer]:
        """Each resolver is tried for what the ones before it did not know; a single one that is silent, twice."""
        found = {key: Answer(UNKNOWN, detail=f"the resolver {SILENT}") for key in keys}
        until = time.monotonic() + 2 * TIMEOUT
        for turn, server in enumerate(self._resolvers if len(self._resolvers) > 1 else self._resolvers * 2):
            again = turn and len(self._resolvers) == 1
            left = [key for key in keys if not found[key].known and not (again and found[key] is _REFUSED)]
            if not left or not self._patience() or time.monotonic() >= until:
                break
            replies = exchange(server, self._port, left, timeout=self._patience())
            found |= {key: _judge_reply(reply, *key) for key, reply in zip(left, replies, strict=True)}
        return found | self._forged([key for key in keys if found[key] is _REFUSED])

    def _forged(self, refused: list[Question]) -> dict[Question, Answer]:
        """Those of them that the first resolver tells once it need not look at signatures."""
        asked = self._afford(refused)
        if not asked:
            return {}
        replies = exchange(self._resolvers[0], self._port, asked, timeout=self._patience(), flags=UNCHECKED)
        pairs = zip(asked, replies, strict=True)
        return {key: _FORGED for key, reply in pairs if _is_message(reply) and reading.is_answer(reply)}

    def _ask_source(self, keys: Iterable[Question]) -> None:
        """Sees to it that `_sourced` holds each of them: the resolver's answer where no server of the zone speaks for
        the name, because it is unreachable or has delegated it on."""
        wanted = [key for key in dict.fromkeys(keys) if key not in self._sourced]
        found = self._at_source([key for key in wanted if valid_name(key[0])])
        followed = {
            key: a for key, a in found.items() if a.alias and not a.values and not a.detail and key[1] != "CNAME"
        }
        aliases = {key: (answer.alias, key[1]) for key, answer in followed.items()}
        self._ask_resolver([*aliases.values(), *(key for key in wanted if key not in found)])
        for key in wanted:
            answer = found.get(key) or self._cached[key]
            if key in aliases:
                target = self._cached[aliases[key]]
                answer = Answer(target.status, target.values, answer.ttl, answer.alias, target.detail)
            self._sourced[key] = _FORGED if self._cached.get(key) is _FORGED else answer

    def _at_source(self, keys: list[Question]) -> dict[Question, Answer]:
        found: dict[Question, Answer] = {}
        for server in list(self.servers):
            asked = self._afford(key for key in keys if key not in found)
            if not asked:
                break
            replies = exchange(server, self._port, asked, timeout=self._patience(), flags=0)
            if all(reply == SILENT for reply in replies):
                self.servers.remove(server)  # silent once is enough
            for key, reply in zip(asked, replies, strict=True):
                if _is_message(reply) and reading.is_authoritative(reply):
                    found[key] = reading.read(reply, *key)
        return found


def _resolvers(given: dns.resolver.Resolver | None) -> tuple[list[str], int]:
    """Addresses and port; none where this machine has no resolver."""
    try:
        chosen = given or dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        return [], 53
    return [str(server) for server in chosen.nameservers], chosen.port


def _key(name: str, kind: str) -> Question:
    return name.lower().rstrip("."), kind


def _is_message(reply: dns.message.Message | str) -> TypeGuard[dns.message.Message]:
    return isinstance(reply, dns.message.Message)


def _judge_reply(reply: dns.message.Message | str, name: str, kind: str) -> Answer:
    if isinstance(reply, str):
        return Answer(UNKNOWN, detail=f"the resolver {reply}")
    return reading.read(reply, name, kind) if reading.is_answer(reply) else _REFUSED


def _judged(name: str, kind: str, answer: Answer) -> list[str]:
    """The values a check looks at: a domain's TXT records are SPF and much else."""
    plain = kind == "TXT" and "_" not in name
    return sorted(value for value in answer.values if not plain or "spf1" in value.lower())

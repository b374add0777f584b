"""The text of an SPF record, RFC 7208 sections 4.6 and 7: terms and macros. Pure."""

import ipaddress
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

_MACRO = r"%(?:[%_\-]|\{[slodiphv](?:[1-9]\d*)?r?[.\-+,/_=]*\})"
_MACRO_IN_TEXT = _MACRO.replace("slodiphv", "slodiphcrtv")
_LITERAL = r"[\x21-\x24\x26-\x7e]"
_TOPLABEL = r"(?:[a-z0-9]*[a-z][a-z0-9]*|[a-z0-9]+-[a-z0-9\-]*[a-z0-9])"
_DOMAIN_SPEC = re.compile(rf"(?:{_MACRO}|{_LITERAL})*(?:\.{_TOPLABEL}\.?|{_MACRO})", re.I)
_MACRO_STRING = re.compile(rf"(?:{_MACRO_IN_TEXT}|{_LITERAL})*", re.I)
_EXPLAIN = re.compile(rf"(?:{_MACRO_IN_TEXT}|{_LITERAL}| )*", re.I)
_EXPAND = re.compile(r"%(?:([%_\-])|\{([a-z])(\d*)(r?)([.\-+,/_=]*)\})", re.I)
_MODIFIER = re.compile(r"([a-z][a-z0-9\-_.]*)=(.*)", re.I | re.S)
_MECHANISM = re.compile(r"([+?~\-]?)([a-z][a-z0-9\-_.]*)(?::([^/]*(?:/.*)?))?(/.*)?", re.I | re.S)
_CIDR = re.compile(r"(.*?)(?:/(0|[1-9]\d?))?(?://(0|[1-9]\d{0,2}))?", re.S)

QUERYING = ("include", "a", "mx", "ptr", "exists")


class Malformed(ValueError):
    """The record cannot be read: a permanent error to every receiver."""


@dataclass(frozen=True)
class Mechanism:
    """domain: its domain-spec, "" where none is given. v4, v6: prefix lengths. network: of ip4 and ip6."""

    text: str
    qualifier: str  # + - ~ ?
    name: str
    domain: str = ""
    v4: int = 32
    v6: int = 128
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None


@dataclass(frozen=True)
class Record:
    text: str
    mechanisms: tuple[Mechanism, ...] = ()
    redirect: str = ""
    explanation: str = ""

    @property
    def all(self) -> Mechanism | None:
        return next((m for m in self.mechanisms if m.name == "all"), None)

    @property
    def after_all(self) -> tuple[Mechanism, ...]:
        """Mechanisms that no receiver ever looks at."""
        end = self.mechanisms.index(self.all) + 1 if self.all else len(self.mechanisms)
        return self.mechanisms[end:]


def is_spf(text: str) -> bool:
    return re.match(r"v=spf1(?: |$)", text, re.I) is not None


def parse(text: str) -> Record:
    """Raises Malformed, with the term that cannot be read."""
    if not text.isascii():
        raise Malformed("it holds characters that are not ASCII")
    mechanisms, modifiers = [], {}
    for term in filter(None, text[6:].split(" ")):
        if found := _MODIFIER.fullmatch(term):
            name, value = found[1].lower(), found[2]
            if name in ("redirect", "exp"):
                if name in modifiers:
                    raise Malformed(f"{name}= stands twice")
                modifiers[name] = _domain_spec(value, term)
            elif not _MACRO_STRING.fullmatch(value):
                raise Malformed(f"“{term}” cannot be read")
        else:
            mechanisms.append(_mechanism(term))
    return Record(text, tuple(mechanisms), modifiers.get("redirect", ""), modifiers.get("exp", ""))


def _mechanism(term: str) -> Mechanism:
    found = _MECHANISM.fullmatch(term)
    if not found:
        raise Malformed(f"“{term}” cannot be read")
    qualifier, name, value, slashes = found[1] or "+", found[2].lower(), found[3], found[4] or ""
    if name == "all" and value is None and not slashes:
        return Mechanism(term, qualifier, name)
    if name in ("ip4", "ip6") and value:
        return Mechanism(term, qualifier, name, network=_network(name, value, term))
    if name in ("include", "exists") and value is not None:
        return Mechanism(term, qualifier, name, _domain_spec(value, term))
    if name == "ptr" and not slashes:
        return Mechanism(term, qualifier, name, "" if value is None else _domain_spec(value, term))
    if name in ("a", "mx"):
        whole = (value if value is not None else "") + slashes
        domain, v4, v6 = _CIDR.fullmatch(whole).groups()
        if domain or value is not None:
            _domain_spec(domain, term)
        lengths = int(v4 or 32), int(v6 or 128)
        if lengths[0] > 32 or lengths[1] > 128:
            raise Malformed(f"the prefix length of “{term}” is too long")
        return Mechanism(term, qualifier, name, domain, *lengths)
    raise Malformed(f"“{term}” cannot be read")


def _network(name: str, value: str, term: str):
    address, slash, length = value.partition("/")
    kind = ipaddress.IPv4Network if name == "ip4" else ipaddress.IPv6Network
    if (slash and not re.fullmatch(r"0|[1-9]\d{0,2}", length)) or "%" in address:
        raise Malformed(f"“{term}” is no network")
    try:
        return kind(value, strict=False)
    except ValueError:
        raise Malformed(f"“{term}” is no network") from None


def _domain_spec(value: str, term: str) -> str:
    if not _DOMAIN_SPEC.fullmatch(value):
        raise Malformed(f"“{term}” names no complete domain")
    return value


@dataclass(frozen=True)
class Circumstances:
    """What macros stand for. validated: () -> the validated name of the client, or "unknown" (costs queries)."""

    ip: ipaddress.IPv4Address | ipaddress.IPv6Address
    sender: str
    helo: str
    domain: str
    validated: Callable[[], str]


def expand_domain(spec: str, now: Circumstances) -> str:
    """The domain a spec stands for, cut from the left to 253 characters."""
    name = _expanded(spec, now).removesuffix(".")
    while len(name) > 253 and "." in name:
        name = name.partition(".")[2]
    return name


def expand_text(text: str, now: Circumstances) -> str | None:
    """An explanation; None when it cannot be read."""
    return _expanded(text, now) if _EXPLAIN.fullmatch(text) else None


def _expanded(text: str, now: Circumstances) -> str:
    return _EXPAND.sub(lambda found: _macro(found, now), text)


def _macro(found: re.Match, now: Circumstances) -> str:
    plain, letter, digits, reverse, delimiters = found.groups()
    if plain:
        return {"%": "%", "_": " ", "-": "%20"}[plain]
    value = _value(letter.lower(), now)
    if digits or reverse or delimiters:
        parts = re.split("[" + re.escape(delimiters or ".") + "]", value)
        if reverse:
            parts.reverse()
        value = ".".join(parts[-int(digits) :] if digits else parts)
    return quote(value, safe="-._~") if letter.isupper() else value


def _value(letter: str, now: Circumstances) -> str:
    local, _, domain = now.sender.rpartition("@")
    if letter == "i":
        return str(now.ip) if now.ip.version == 4 else ".".join(now.ip.exploded.replace(":", "").upper())
    if letter == "p":
        return now.validated()
    return {
        "s": now.sender,
        "l": local,
        "o": domain,
        "d": now.domain,
        "h": now.helo,
        "v": "in-addr" if now.ip.version == 4 else "ip6",
        "c": str(now.ip),
        "r": "unknown",
        "t": str(int(time.time())),
    }[letter]


def address_term(address: str) -> str:
    return f"ip6:{address}" if ":" in address else f"ip4:{address}"

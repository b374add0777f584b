"""What a DNS message says to a question. Pure."""

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from gateway.deliverability.answers import EMPTY, FOUND, NXDOMAIN, Answer

CIRCLE = "its aliases lead in a circle"


def is_answer(reply: dns.message.Message) -> bool:
    """A yes or a no; anything else says nothing about the name."""
    return reply.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)


def is_authoritative(reply: dns.message.Message) -> bool:
    return is_answer(reply) and bool(reply.flags & dns.flags.AA)


def read(response: dns.message.Message, name: str, kind: str) -> Answer:
    """Follows aliases as far as the message goes; where they lead in a circle, asking again brings nothing."""
    asked, aliases, ttls = dns.name.from_text(f"{name}."), [], []
    wanted, detail = dns.rdatatype.from_text(kind), ""
    while True:
        rrset = response.get_rrset(response.answer, asked, 1, wanted)
        alias = _name(aliases[0]) if aliases else ""
        if rrset is not None:
            return Answer(FOUND, tuple(_text(rdata, kind) for rdata in rrset), min([rrset.ttl, *ttls]), alias)
        cname = response.get_rrset(response.answer, asked, 1, dns.rdatatype.CNAME)
        if cname is None:
            break
        asked = cname[0].target
        if asked in aliases:
            detail = CIRCLE
            break
        aliases.append(asked)
        ttls.append(cname.ttl)
    gone = response.rcode() == dns.rcode.NXDOMAIN
    return Answer(NXDOMAIN if gone else EMPTY, ttl=_negative(response), alias=alias, detail=detail)


def _negative(response: dns.message.Message) -> int:
    """Seconds a "no" is remembered."""
    soa = next((rrset for rrset in response.authority if rrset.rdtype == dns.rdatatype.SOA), None)
    return min(soa.ttl, soa[0].minimum) if soa is not None else 0


def _text(rdata, kind: str) -> str:
    if kind == "TXT":
        return b"".join(rdata.strings).decode("latin-1")
    if kind == "MX":
        return f"{rdata.preference} {_name(rdata.exchange) or '.'}"
    return _name(rdata) if kind in ("CNAME", "NS", "PTR") else str(rdata)


def _name(name) -> str:
    return str(name).rstrip(".").lower()

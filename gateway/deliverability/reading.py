"""What a DNS message says to a question. Pure."""

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from gateway.deliverability.answers import EMPTY, FOUND, NXDOMAIN, Answer


def is_answer(reply: dns.message.Message) -> bool:
    """A yes or a no; anything else says nothing about the name."""
    return reply.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)


def is_authoritative(reply: dns.message.Message) -> bool:
    return is_answer(reply) and bool(reply.flags & dns.flags.AA)


def read(response: dns.message.Message, name: str, kind: str) -> Answer:
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

"""A name server on loopback, over UDP: authoritative for its zone file text, or a resolver that repeats old answers."""

import socket
import threading
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.zone


class Server:
    """zones: {origin: zone file text}. silent: it never answers. plain: it knows no EDNS.
    refusing: {name} that get SERVFAIL."""

    def __init__(self, zones: dict[str, str], port: int = 0, address: str = "127.0.0.1"):
        self.zones = {dns.name.from_text(o): dns.zone.from_text(t, o, relativize=False) for o, t in zones.items()}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, port))
        self.port, self.silent, self.plain, self.refusing, self.asked = (
            self.socket.getsockname()[1],
            False,
            False,
            set(),
            [],
        )

    def serve(self) -> None:
        while True:
            try:
                wire, client = self.socket.recvfrom(4096)
            except OSError:
                return
            if not wire:
                return
            query = dns.message.from_wire(wire)
            self.asked.append(str(query.question[0].name).rstrip("."))
            if not self.silent:
                self.socket.sendto(self.answer(query).to_wire(), client)

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        response, asked = dns.message.make_response(query), query.question[0]
        response.flags |= dns.flags.AA | dns.flags.RA
        name = asked.name
        if self.plain and query.edns >= 0:
            response.use_edns(False)
            response.set_rcode(dns.rcode.FORMERR)
            return response
        if str(name).rstrip(".") in self.refusing:
            response.set_rcode(dns.rcode.SERVFAIL)
            return response
        for _ in range(8):
            zone = next((z for o, z in sorted(self.zones.items(), reverse=True) if name.is_subdomain(o)), None)
            if zone is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
                return response
            rrset = zone.get_rrset(name, asked.rdtype)
            alias = zone.get_rrset(name, dns.rdatatype.CNAME)
            if rrset or not alias:
                break
            response.answer.append(alias)
            name = alias[0].target
        if rrset:
            response.answer.append(rrset)
        else:
            response.authority.append(zone.get_rrset(zone.origin, dns.rdatatype.SOA))
            if zone.get_node(name) is None and not any(n.is_subdomain(name) for n in zone.nodes):
                response.set_rcode(dns.rcode.NXDOMAIN)
        return response


@contextmanager
def running(server: Server):
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bell:
            bell.sendto(b"", server.socket.getsockname())
        thread.join(2)
        server.socket.close()


def resolver_at(server: Server) -> dns.resolver.Resolver:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [server.socket.getsockname()[0]], server.port
    return resolver

"""Where an alert may be sent: the panel talks from inside a network, so an address somebody typed is judged after its
name was resolved, and exactly what was judged is connected to."""

import ipaddress
import socket

# Where clouds answer "who am I and what are my keys", and what is no host at all: refused even when local is allowed.
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32", "192.0.0.192/32"),
        *("0.0.0.0/8", "224.0.0.0/3", "::/128", "ff00::/8"),
    )
)


class Refused(Exception):
    """This address is not one the panel sends to."""

    hint = "Use a public address, or allow addresses inside this network on the route."


def judge(address: str, *, local: bool) -> None:
    """Raises Refused. local: addresses inside this network are allowed."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found.sixtofour or found
    if any(found.version == network.version and found in network for network in _NEVER):
        raise Refused(f"{address} is a link-local, metadata or multicast address; nothing is sent there.")
    if not local and not found.is_global:
        raise Refused(f"{address} is inside this network; nothing is sent there.")


def resolve(host: str, port: int, *, local: bool) -> list[str]:
    """The addresses of `host`, every one of them allowed. Raises Refused, and OSError when there are none."""
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found = list(dict.fromkeys(str(row[4][0]) for row in rows))
    for address in found:
        judge(address, local=local)
    return found

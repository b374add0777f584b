"""Where an alert may be sent: the panel talks from inside a network, so an address somebody typed is judged after its
name was resolved, and exactly what was judged is connected to."""

import socket

from servers.remote import addresses


class Refused(Exception):
    """This address is not one the panel sends to."""

    hint = "Use a public address, or allow addresses inside this network on the route."


def judge(address: str, *, local: bool) -> None:
    """Raises Refused. local: addresses inside this network are allowed."""
    if addresses.is_forbidden(address):
        raise Refused(f"{address} is a link-local, metadata or multicast address; nothing is sent there.")
    if not local and not addresses.is_public(address):
        raise Refused(f"{address} is inside this network; nothing is sent there.")


def resolve(host: str, port: int, *, local: bool) -> list[str]:
    """The addresses of `host`, every one of them allowed. Raises Refused, and OSError when there are none."""
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found = list(dict.fromkeys(str(row[4][0]) for row in rows))
    for address in found:
        judge(address, local=local)
    return found

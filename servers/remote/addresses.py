"""What an IP address stands for, however it is written: an IPv6 address may carry an IPv4 one, which then decides."""

import ipaddress
from collections.abc import Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _networks(*texts: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(map(ipaddress.ip_network, texts))


# Where clouds answer "who am I and what are my keys", and what is no single host: nothing is ever meant to go there.
_NEVER = _networks(
    *("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32"),
    *("0.0.0.0/8", "224.0.0.0/3", "::/128", "ff00::/8"),
)
# Not public, though Python's registry says so or does not know: site-local, protocol assignments, relays of 6to4,
# segment routing, documentation.
_INSIDE = _networks("fec0::/10", "192.0.0.0/24", "192.88.99.0/24", "5f00::/16", "3fff::/20")
# Network, and by how many bits from the right the IPv4 address stands in it (RFC 6052, 7915, 4291, 5214).
_CARRIERS = tuple(
    (ipaddress.IPv6Network(text), shift)
    for text, shift in (
        *(("64:ff9b::/96", 0), ("64:ff9b:1::/48", 0), ("::ffff:0:0:0/96", 0), ("::/96", 0)),
        *(("2002::/16", 80), ("2001::/32", 64)),
    )
)
# Nothing but IPv4 in other clothes: what it carries is the whole of it.
_CLOTHES = _networks("64:ff9b::/96", "::ffff:0:0:0/96")
_ISATAP = 0x5EFE << 32


def is_forbidden(text: str) -> bool:
    """Link-local, metadata, multicast or unspecified: no service lives there. Raises ValueError."""
    return any(_within(address, _NEVER) for address in meant(text))


def is_public(text: str) -> bool:
    """Reachable from anywhere, so nothing of the network it is asked from. Raises ValueError."""
    return all(address.is_global and not _within(address, _NEVER + _INSIDE) for address in meant(text))


def meant(text: str) -> Iterator[Address]:
    """The address itself, unless it is only IPv4 in other clothes, and every IPv4 address it carries; no scope id.
    Raises ValueError."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            address = address.ipv4_mapped
        else:
            yield from _carried(address)
    if not _within(address, _CLOTHES):
        yield address


def _carried(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    number = int(address)
    if (number >> 32 & 0xFDFFFFFF) << 32 == _ISATAP:
        yield ipaddress.IPv4Address(number & 0xFFFFFFFF)
    for network, shift in _CARRIERS:
        if number > 1 and address in network:
            yield ipaddress.IPv4Address(number >> shift & 0xFFFFFFFF)
    if address.teredo:
        yield address.teredo[1]


def _within(address: Address, networks: tuple) -> bool:
    return any(address.version == network.version and address in network for network in networks)

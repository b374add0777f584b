"""An address is judged by what it stands for, not by how it is written."""

import ipaddress

import pytest

from servers.remote import addresses

METADATA = ("169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16")


def written(address: str) -> list[str]:
    """Every IPv6 address that carries this IPv4 one."""
    four = int(ipaddress.IPv4Address(address))
    low = f"{four >> 16:x}:{four & 0xFFFF:x}"
    inverted = f"{(four ^ 0xFFFFFFFF) >> 16:x}:{(four ^ 0xFFFFFFFF) & 0xFFFF:x}"
    forms = [f"::ffff:{address}", f"::{address}", f"64:ff9b::{address}", f"64:ff9b:1::{address}", f"2002:{low}::1"]
    forms += [f"::ffff:0:{address}", f"2001:0:808:808:0:0:{inverted}", f"2001:0:{low}::1"]
    return [*forms, f"2a00:1450::5efe:{address}", f"2a00:1450::200:5efe:{address}"]


@pytest.mark.parametrize("address", [*METADATA, "0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255"])
def test_metadata_and_what_is_no_host_stay_so_in_every_form(address):
    for form in [address, *written(address)]:
        assert addresses.is_forbidden(form), form
        assert not addresses.is_public(form), form


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1"])
def test_inside_stays_inside_in_every_form(address):
    for form in [address, *written(address)]:
        assert not addresses.is_public(form), form


@pytest.mark.parametrize("address", ["fe80::1", "fe80::1%eth0", "fd00:ec2::254", "ff02::1", "::"])
def test_ipv6_has_its_own(address):
    assert addresses.is_forbidden(address) and not addresses.is_public(address)


@pytest.mark.parametrize("address", ["::1", "fd00::1", "fec0::1", "2001:db8::1", "3fff::1", "5f00::1", "192.88.99.1"])
def test_what_is_not_public(address):
    assert not addresses.is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]
)
def test_public_addresses_are_public(address):
    """A server that knows only IPv6 reaches its provider through NAT64."""
    assert addresses.is_public(address) and not addresses.is_forbidden(address)


@pytest.mark.parametrize("text", ["", "example.com", "1.2.3", "0x7f.1", "2130706433", "0177.0.0.1", "1.2.3.4.5", ":::"])
def test_what_is_no_address_is_none(text):
    with pytest.raises(ValueError):
        addresses.is_public(text)

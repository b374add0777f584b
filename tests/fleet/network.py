"""A bridge with its own range per fleet, a network namespace per host, and ways to break them.

A blackhole route lies under every range: when the bridge is gone, packets for it stop here. Hosts
have no route out, and may not change their own network (nspawn withholds CAP_NET_ADMIN).
"""

import json
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Literal
from zlib import crc32

from tests.fleet.host import FleetError, sh, succeeds

RANGE = IPv4Network("10.77.0.0/16")
LABEL = re.compile(r"[a-z][a-z0-9]{0,10}")
UNDERLAY_METRIC = "4000"


@dataclass(frozen=True)
class Net:
    label: str
    subnet: IPv4Network

    @property
    def bridge(self) -> str:
        return bridge_of(self.label)

    @property
    def gateway(self) -> IPv4Address:
        return self.subnet[1]

    def namespace(self, host: str) -> str:
        return f"fp-{self.label}-{host}"


def bridge_of(label: str) -> str:
    if not LABEL.fullmatch(label):
        raise FleetError(f"a fleet label is 1 to 11 of a-z and 0-9, not {label!r}")
    return f"fp-{label}"


def raise_bridge(label: str) -> Net:
    """A fresh bridge with a range nothing else on this machine has a route into."""
    bridge = bridge_of(label)
    net = Net(label, claim_subnet(label))
    sh("ip", "link", "add", bridge, "type", "bridge")
    for setting in ("ipv6/conf/{}/disable_ipv6=1", "ipv4/conf/{}/forwarding=0"):
        path, value = setting.format(bridge).split("=")
        Path("/proc/sys/net", path).write_text(value)
    sh("ip", "addr", "add", f"{net.gateway}/{net.subnet.prefixlen}", "dev", bridge)
    sh("ip", "link", "set", bridge, "up")
    return net


def claim_subnet(label: str) -> IPv4Network:
    """Adding the blackhole route is the claim: the kernel refuses a second one, so fleets cannot race."""
    choices = list(RANGE.subnets(new_prefix=24))
    first = crc32(label.encode()) % len(choices)
    for subnet in choices[first:] + choices[:first]:
        taken = any(subnet.overlaps(route) for route in routes())
        if not taken and succeeds("ip", "route", "add", "blackhole", str(subnet), "metric", UNDERLAY_METRIC):
            return subnet
    raise FleetError(f"no free /24 in {RANGE}")


def routes() -> list[IPv4Network]:
    listed = json.loads(sh("ip", "-j", "-4", "route", "show", "table", "all"))
    return [IPv4Network(route["dst"], strict=False) for route in listed if route["dst"] != "default"]


def add_host(net: Net, host: str, addresses: list[IPv4Address]) -> None:
    """A namespace with one cable to the bridge. Its only route is the fleet's own range."""
    namespace = net.namespace(host)
    cable = f"fpv{crc32(namespace.encode()):08x}"
    sh("ip", "netns", "add", namespace)
    sh("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", namespace)
    Path(f"/proc/sys/net/ipv6/conf/{cable}/disable_ipv6").write_text("1")
    sh("ip", "link", "set", cable, "master", net.bridge, "up")
    script = ["link set lo up", "link set eth0 up"]
    script += [f"addr add {address}/{net.subnet.prefixlen} dev eth0" for address in addresses]
    script += [f"route add unreachable default metric {UNDERLAY_METRIC}"]
    sh("ip", "-n", namespace, "-batch", "-", input="\n".join(script))


def remove_host(net: Net, host: str) -> None:
    succeeds("ip", "netns", "del", net.namespace(host))


def tear_down(label: str) -> None:
    """Remove all of a label's namespaces, its bridge and the routes under it; whatever is missing is fine."""
    for line in sh("ip", "netns", "list").splitlines():
        namespace = line.split()[0]
        if namespace.startswith(f"fp-{label}-"):
            succeeds("ip", "netns", "del", namespace)
    bridge = bridge_of(label)
    for subnet in subnets_of(bridge):
        succeeds("ip", "route", "del", "blackhole", str(subnet), "metric", UNDERLAY_METRIC)
    succeeds("ip", "link", "del", bridge)


def subnets_of(bridge: str) -> list[IPv4Network]:
    if not Path("/sys/class/net", bridge).exists():
        return []
    listed = json.loads(sh("ip", "-j", "-4", "addr", "show", "dev", bridge))
    return [
        IPv4Network(f"{address['local']}/{address['prefixlen']}", strict=False)
        for interface in listed
        for address in interface.get("addr_info", ())
    ]


Direction = Literal["in", "out"]


def block(namespace: str, *, how: Literal["drop", "reject"], port: int, direction: Direction) -> None:
    """Cut TCP `port` of a host: "drop" is silence, "reject" a reset; "out" means its own connections."""
    target = ["DROP"] if how == "drop" else ["REJECT", "--reject-with", "tcp-reset"]
    chain = "INPUT" if direction == "in" else "OUTPUT"
    in_namespace(namespace, "-I", chain, "-p", "tcp", "--dport", str(port), "-j", *target)


def go_silent(namespace: str) -> None:
    """Drop every packet in both directions, established connections too."""
    for chain in ("INPUT", "OUTPUT"):
        in_namespace(namespace, "-I", chain, "!", "-i" if chain == "INPUT" else "-o", "lo", "-j", "DROP")


def unblock(namespace: str) -> None:
    in_namespace(namespace, "-F")


def in_namespace(namespace: str, *rule: str) -> None:
    sh("ip", "netns", "exec", namespace, "iptables", "-w", *rule)

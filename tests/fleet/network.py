"""A bridge with its own range per fleet, a network namespace per host, and ways to break them.

A blackhole route lies under every range and stays when the fleet is gone: packets a straggler still
sends there stop on this machine. Hosts have no route out, and may not change their own network
(nspawn withholds CAP_NET_ADMIN).
"""

import fcntl
import json
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

from tests.fleet.host import FleetError, sh, succeeds

RANGE = IPv4Network("10.77.0.0/16")
LABEL = re.compile(r"[a-z][a-z0-9]{0,10}")
UNDERLAY_METRIC = 4000
TURN = Path("/run/lock/fleetpost-fleet")


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
    """A fresh bridge with a range nothing else on this machine has a route into.

    Choosing a range and raising its bridge is one act: fleets that start together take turns.
    """
    bridge = bridge_of(label)
    with open(TURN, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        net = Net(label, free_subnet(label))
        sh("ip", "route", "replace", "blackhole", str(net.subnet), "metric", str(UNDERLAY_METRIC))
        sh("ip", "link", "add", bridge, "type", "bridge")
        set_kernel(f"net/ipv6/conf/{bridge}/disable_ipv6", "1")
        set_kernel(f"net/ipv4/conf/{bridge}/forwarding", "0")
        sh("ip", "addr", "add", f"{net.gateway}/{net.subnet.prefixlen}", "dev", bridge)
        sh("ip", "link", "set", bridge, "up")
    return net


def set_kernel(name: str, value: str) -> None:
    Path("/proc/sys", name).write_text(value)


def free_subnet(label: str) -> IPv4Network:
    choices = list(RANGE.subnets(new_prefix=24))
    first = crc32(label.encode()) % len(choices)
    taken = routes()
    for subnet in choices[first:] + choices[:first]:
        if not any(subnet.overlaps(route) for route in taken):
            return subnet
    raise FleetError(f"no free /24 in {RANGE}")


def routes() -> list[IPv4Network]:
    """Every IPv4 destination this machine knows, except default routes and our own blackholes."""
    listed = json.loads(sh("ip", "-j", "-4", "route", "show", "table", "all"))
    known = (route for route in listed if route["dst"] != "default" and not is_underlay(route))
    return [IPv4Network(route["dst"], strict=False) for route in known]


def is_underlay(route: dict[str, Any]) -> bool:
    return route.get("type") == "blackhole" and route.get("metric") == UNDERLAY_METRIC


def cable_of(namespace: str) -> str:
    """This machine's end of it."""
    return f"fpv{crc32(namespace.encode()):08x}"


def add_host(net: Net, host: str, addresses: list[IPv4Address]) -> None:
    """A namespace with one cable to the bridge. Its only route is the fleet's own range."""
    namespace = net.namespace(host)
    cable = cable_of(namespace)
    sh("ip", "netns", "add", namespace)
    sh("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", namespace)
    set_kernel(f"net/ipv6/conf/{cable}/disable_ipv6", "1")
    sh("ip", "link", "set", cable, "master", net.bridge, "up")
    script = ["link set lo up", "link set eth0 up"]
    script += [f"addr add {address}/{net.subnet.prefixlen} dev eth0" for address in addresses]
    script += [f"route add unreachable default metric {UNDERLAY_METRIC}"]
    sh("ip", "-n", namespace, "-batch", "-", input="\n".join(script))


def tear_down(label: str) -> None:
    """Remove all of a label's namespaces and its bridge; whatever is missing is fine."""
    for line in sh("ip", "netns", "list").splitlines():
        namespace = line.split()[0]
        if namespace.startswith(f"fp-{label}-"):
            # The kernel removes what is in a namespace later; the same label may begin anew before that.
            succeeds("ip", "link", "del", cable_of(namespace))
            succeeds("ip", "netns", "del", namespace)
    succeeds("ip", "link", "del", bridge_of(label))


Direction = Literal["in", "out"]


def block(namespace: str, *, how: str, port: int, direction: Direction) -> None:
    """Cut TCP `port` of a host: "drop" is silence, else the answer of a REJECT ("tcp-reset",
    "icmp-host-prohibited", …); "out" means its own connections."""
    target = ["DROP"] if how == "drop" else ["REJECT", "--reject-with", how]
    chain = "INPUT" if direction == "in" else "OUTPUT"
    iptables(namespace, "-I", chain, "-p", "tcp", "--dport", str(port), "-j", *target)


def divert(namespace: str, port: int, *, to: int, here: bool) -> None:
    """The host's own connections to `port` of anywhere reach `to`: of the same address, or of itself."""
    target = ["REDIRECT", "--to-ports", str(to)] if here else ["DNAT", "--to-destination", f":{to}"]
    iptables(namespace, "-t", "nat", "-I", "OUTPUT", "-p", "tcp", "--dport", str(port), "-j", *target)


def go_silent(namespace: str) -> None:
    """Drop every packet in both directions, established connections too."""
    iptables(namespace, "-I", "INPUT", "!", "-i", "lo", "-j", "DROP")
    iptables(namespace, "-I", "OUTPUT", "!", "-o", "lo", "-j", "DROP")


def unblock(namespace: str) -> None:
    iptables(namespace, "-F")
    iptables(namespace, "-t", "nat", "-F")


def iptables(namespace: str, *rule: str) -> None:
    sh("ip", "netns", "exec", namespace, "iptables", "-w", *rule)

"""When the cloud is named as the one that blocks a port, and when it must not be."""

import ast
import inspect
from datetime import date

import pytest

from gateway import diagnosing
from gateway.diagnosis import closed, verdict
from gateway.diagnosis.values import Way
from gateway.diagnosis.verdict import judge
from gateway.providers import causes, clouds
from servers.remote import cloud
from tests.gateway.diagnosis.test_verdict import REFUSED, SILENT, SMTP, TCP, TLS, UNREACHABLE, asked, seen

BLOCKED = "port-blocked-by-cloud"
DROPLET = "DigitalOcean blocks outgoing 25, 465 and 587 on all Droplets by default."
# asked, ports, (slug, way)
CASES = {
    "the policy, to the letter": (
        asked(cloud="digitalocean"),
        {25: SILENT, 465: SILENT, 587: SILENT, 2525: SMTP, 2587: REFUSED},
        (BLOCKED, Way(2525, "starttls")),
    ),
    "the host is there and has no other port": (
        asked(cloud="digitalocean"),
        {25: SILENT, 465: SILENT, 587: SILENT, 2525: REFUSED},
        (BLOCKED, None),
    ),
    "a provider with no other port than the blocked ones": (
        asked(cloud="digitalocean", ports=(587, 465)),
        {25: SILENT, 465: SILENT, 587: SILENT, 2525: SILENT, 2587: SILENT},
        (BLOCKED, None),
    ),
    "all of the policy's ports are refused, and no other": (
        asked(cloud="digitalocean"),
        {25: REFUSED, 465: REFUSED, 587: REFUSED, 2525: SMTP},
        (BLOCKED, Way(2525, "starttls")),
    ),
    "forbidden by ICMP": (
        asked(25, cloud="google", ports=(25, 587)),
        {25: UNREACHABLE, 465: TLS, 587: SMTP},
        (BLOCKED, Way(587, "starttls")),
    ),
    "25 on a cloud that blocks 25": (
        asked(25, cloud="aws"),
        {25: SILENT, 465: TLS, 587: SMTP},
        (BLOCKED, Way(587, "starttls")),
    ),
    "25 refused where nobody may listen on 25": (
        asked(25, cloud="aws"),
        {25: REFUSED, 587: SMTP},
        ("connection-refused", Way(587, "starttls")),
    ),
    "25 refused though the provider has it": (
        asked(25, cloud="aws", ports=(587, 25)),
        {25: REFUSED, 587: SMTP},
        (BLOCKED, Way(587, "starttls")),
    ),
    "587 on a cloud that leaves 587 open": (
        asked(cloud="hetzner"),
        {25: SILENT, 465: SILENT, 587: SILENT, 2525: SMTP},
        ("port-blocked-other-open", Way(2525, "starttls")),
    ),
    "a blocked port that is open: this account has no block": (
        asked(cloud="digitalocean"),
        {25: SMTP, 465: TLS, 587: SILENT, 2525: SMTP},
        ("port-blocked-other-open", Way(2525, "starttls")),
    ),
    "everything is silent: the host may be down": (
        asked(cloud="digitalocean"),
        dict.fromkeys((25, 465, 587, 2525, 2587), SILENT),
        ("all-ports-timed-out", None),
    ),
    "everything is silent, the provider's own 2525 too": (
        asked(cloud="digitalocean", ports=(587, 2525)),
        dict.fromkeys((25, 465, 587, 2525), SILENT),
        ("all-ports-timed-out", None),
    ),
    "a cloud of which nothing is known": (
        asked(cloud="exoscale"),
        {25: SILENT, 587: SILENT, 2525: SMTP},
        ("port-blocked-other-open", Way(2525, "starttls")),
    ),
    "an unknown network": (asked(), {587: SILENT, 2525: SMTP}, ("port-blocked-other-open", Way(2525, "starttls"))),
}


@pytest.mark.parametrize("case", CASES)
def test_the_cloud_is_named_only_where_its_policy_explains_what_was_seen(case):
    way, ports, expected = CASES[case]
    found = judge(way, seen(ports), TCP)
    assert (found.slug, found.way) == expected, found
    policy = clouds.get(way.cloud)
    if found.slug == BLOCKED:
        assert policy.sentence in found.cause and policy.ask in found.fix and found.where == policy.where
    elif policy is not None and found.slug != "all-ports-timed-out":
        assert policy.sentence not in found.cause and "the cloud" not in found.cause


def test_it_is_said_by_name_with_the_port_that_works():
    way, ports, _ = CASES["the policy, to the letter"]
    found = judge(way, seen(ports), TCP)
    assert found.cause == (
        f"Port 587 of smtp.example.com gets no answer from this server, and port 2525 answers: {DROPLET}"
    )
    assert found.fix.startswith("Use port 2525 with STARTTLS: it needs nobody's permission.")


def test_a_cloud_that_leaves_the_port_open_is_cleared_by_name():
    way, ports, _ = CASES["587 on a cloud that leaves 587 open"]
    found = judge(way, seen(ports), TCP)
    assert "most likely by a firewall or security group of this server" in found.cause
    assert found.cause.endswith("Hetzner Cloud blocks outgoing 25 and 465 on cloud servers by default, but not 587.")


def test_silence_on_every_port_names_both_reasons_and_blames_neither():
    way, ports, _ = CASES["everything is silent: the host may be down"]
    found = judge(way, seen(ports), TCP)
    assert "either that host is down" in found.cause and DROPLET in found.cause


def test_every_policy_is_whole():
    assert len(clouds.all()) == len({policy.slug for policy in clouds.all()}) > 8
    for policy in clouds.all():
        assert policy.label and policy.slug in cloud.LABELS
        assert all(str(port) in policy.policy for port in policy.blocked), policy
        assert policy.sentence.count(".") == 1 and policy.ask.endswith(".")
        assert policy.where.startswith("https://" if policy.where else "") and policy.source
        assert isinstance(policy.verified, date)


def test_every_cause_a_diagnosis_can_give_is_known():
    """Slugs written out in the code; all others come from the catalogue itself."""
    written = {
        node.value
        for module in (closed, verdict, diagnosing)
        for call in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Verdict"
        for node in ast.walk(call.args[0])
        if isinstance(node, ast.Constant)
    } | {"port-25-timed-out", "connection-timed-out", "all-ports-timed-out"}
    assert {"smtp-intercepted", "address-refused", BLOCKED, "port-forbidden", "connection-refused"} <= written
    unknown = {slug for slug in written if causes.get(slug) is None}
    assert not unknown
    for slug in written:
        meaning = causes.get(slug)
        assert meaning.slug == slug and meaning.cause.endswith(".") and meaning.fix.endswith(".")
    assert causes.get("no-such-cause") is None

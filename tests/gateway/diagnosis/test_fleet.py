"""Many diagnoses told together: one sentence a cloud, what works instead, and for whom."""

from gateway.diagnosis.fleet import Look, Offer, groups
from gateway.diagnosis.values import Way
from gateway.providers import causes

USE_2525 = Way(2525, "starttls")
DROPPED = {25: "silent", 465: "silent", 587: "silent", 2525: "open", 2587: "refused"}
OPEN = {25: "open", 465: "open", 587: "open", 2525: "open"}


def looks(count: int, cause: str = "", states: dict = OPEN, *, of: str = "", name: str = "web", **more) -> list[Look]:
    return [
        Look(f"{name}-id-{n}", f"{name}-{n:02}", of, cause, more.get("port", 587), states, more.get("way"))
        for n in range(1, count + 1)
    ]


def only(found: list[Look]):
    (group,) = groups(found)
    return group


def test_a_cloud_that_blocks_is_one_sentence_one_row_and_one_offer():
    group = only(looks(12, "port-blocked-by-cloud", DROPPED, of="digitalocean", way=USE_2525))
    assert group.sentence == (
        "On DigitalOcean 587 is silent on 12 of 12 servers and 2525 is open: "
        "DigitalOcean blocks outgoing 25, 465 and 587 on all Droplets by default."
    )
    (row,) = group.rows
    assert len(row.names) == 12 and row.states == DROPPED and group.ports == (25, 465, 587, 2525, 2587)
    assert group.offers == (Offer(USE_2525, tuple(f"web-id-{n}" for n in range(1, 13))),)


def test_the_cloud_is_not_blamed_where_one_server_fails_for_another_reason():
    blocked = looks(2, "port-blocked-by-cloud", DROPPED, of="digitalocean", way=USE_2525)
    odd = looks(1, "port-blocked-other-open", DROPPED | {465: "open"}, of="digitalocean", name="odd", way=USE_2525)
    assert "blocks" not in only(blocked + odd).sentence


def test_clouds_stand_by_name_and_the_unknown_network_last():
    found = groups(looks(1, of="vultr") + looks(1, of="") + looks(1, of="aws") + looks(1, of="gone-since"))
    assert [(group.label, group.count) for group in found] == [
        ("Amazon EC2", 1),
        ("Vultr", 1),
        ("Unknown network", 2),
    ]
    assert found[0].sentence == "On Amazon EC2 nothing stands in the way on 1 of 1 server."
    assert found[2].sentence == "Where the network is unknown, nothing stands in the way on 2 of 2 servers."


def test_four_kinds_of_block_stay_four():
    group = only(
        looks(4, "port-blocked-other-open", DROPPED, name="drop", way=USE_2525)
        + looks(3, "connection-refused", OPEN | {587: "refused"}, name="reset", way=USE_2525)
        + looks(2, "port-forbidden", OPEN | {587: "unreachable"}, name="icmp", way=USE_2525)
        + looks(1, "smtp-intercepted", OPEN, name="proxy", way=USE_2525)
        + looks(2, name="fine")
    )
    assert group.sentence == (
        "Where the network is unknown, 587 is silent on 4 of 12 servers, refused on 3, forbidden on 2 and answered by "
        "somebody else on 1, and 2525 is open."
    )
    assert [row.states[587] for row in group.rows] == ["silent", "refused", "unreachable", "intercepted", "open"]
    (offer,) = group.offers
    assert len(offer.servers) == 10 and not any(name.startswith("fine") for name in offer.servers)


def test_two_ways_are_two_offers_and_neither_is_said_to_help_everybody():
    some = looks(2, "connection-refused", OPEN | {587: "refused"}, name="a", way=USE_2525)
    others = looks(1, "connection-refused", OPEN | {587: "refused"}, name="b", way=Way(465, "implicit"))
    group = only(some + others)
    assert [offer.way.port for offer in group.offers] == [2525, 465]
    assert group.sentence == "Where the network is unknown, 587 is refused on 3 of 3 servers."


def test_a_port_without_encryption_is_not_offered_to_many():
    assert only(looks(2, "connection-refused", OPEN | {587: "refused"}, way=Way(25, "none"))).offers == ()


def test_what_fails_behind_an_open_port_is_not_the_ports_fault():
    wrong = looks(2, "credentials-wrong", name="login")
    why = causes.get("credentials-wrong").cause
    assert (
        only(wrong).sentence
        == f"Where the network is unknown, 2 of 2 servers fail, and no closed port is the reason. {why}"
    )
    both = only(wrong + looks(1, "port-blocked-other-open", DROPPED, way=USE_2525))
    assert both.sentence == (
        "Where the network is unknown, 587 is silent on 1 of 3 servers and 2525 is open. "
        f"2 more fail for another reason. {why}"
    )
    assert len(both.offers[0].servers) == 1


def test_a_server_whose_name_lookup_failed_tried_no_port():
    group = only(looks(1, "name-unknown", {}) + looks(1, "port-blocked-other-open", DROPPED, name="b", way=USE_2525))
    assert "587 is silent on 1 of 2 servers" in group.sentence and "1 more fails" in group.sentence

from uuid import uuid4

import pytest
from django.http import QueryDict

from controlpanel.web.listing import Filter
from servers import selecting
from servers.models import Server
from servers.selecting import Selection
from tests import factories

EU = Filter("tag", "Tag", [("eu", "eu")], lambda rows, value: rows.filter(tags__name=value))


def names(selection: Selection, viewer) -> list[str]:
    return [server.name for server in selecting.servers(selection, viewer, [EU])]


def test_a_selection_survives_the_way_through_a_form():
    one, two = uuid4(), uuid4()
    for selection in (Selection((one, two)), Selection(query=""), Selection(query="q=a+b&tag=eu")):
        carried = QueryDict(mutable=True)
        carried.update(selection.fields())
        assert selecting.read(carried) == selection


def test_boxes_and_the_list_of_other_pages_add_up_and_nonsense_is_nobody():
    one, two = uuid4(), uuid4()
    data = QueryDict(f"server={one}&server={one}&server=x&servers={two},,%00,{one}&which=ticked&query=q")
    assert selecting.read(data) == Selection((one, two))
    assert not selecting.read(QueryDict("server=&servers="))
    assert selecting.read(QueryDict("which=all"))


def test_more_than_two_thousand_ticks_are_refused():
    text = ",".join(str(uuid4()) for _ in range(selecting.MOST + 1))
    data = QueryDict(mutable=True)
    data["servers"] = text
    with pytest.raises(selecting.TooMany):
        selecting.read(data)


@pytest.mark.django_db
def test_all_that_match_are_the_live_ones_each_once(administrator):
    factories.ServerFactory(name="eu-1", tags=["eu", "eu-west"])
    factories.ServerFactory(name="us-1", tags=["us"], note="eu")
    factories.ServerFactory(name="eu-2", archived=True, tags=["eu"])
    assert names(Selection(query="q=eu"), administrator) == ["eu-1", "us-1"]
    assert names(Selection(query="tag=eu"), administrator) == ["eu-1"]
    assert names(Selection(query=""), administrator) == ["eu-1", "us-1"]


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["tag=gone", "tag=eu%00", "provider=x", "tag=eu&provider=x", "archived=1"])
def test_a_filter_nobody_offers_matches_nothing_rather_than_everything(administrator, query):
    factories.ServerFactory(tags=["eu"])
    assert names(Selection(query=query), administrator) == []


@pytest.mark.django_db
def test_nobody_selects_what_he_does_not_see(customer):
    factories.ServerFactory.create_batch(7)
    mine = factories.ServerFactory.create_batch(3, people=[customer])
    assert len(names(Selection(query=""), customer)) == 3
    everything = Selection(tuple(Server.objects.values_list("pk", flat=True)))
    assert set(names(everything, customer)) == {server.name for server in mine}


def test_the_digest_is_of_the_servers_not_of_their_order():
    one, two = uuid4(), uuid4()
    assert selecting.digest([one, two]) == selecting.digest([two, one]) != selecting.digest([one])

"""Which servers a bulk action reaches: ticked ones, all that match, and nobody by mistake."""

from urllib.parse import urlencode

import pytest
from django.http import QueryDict

from servers.jobs.models import Job
from tests import factories
from tests.servers.test_bulk import LIST, asked_for, confirm, everything, ticked, url
from tests.servers.test_bulk import _toy as _toy  # the fixture

pytestmark = pytest.mark.django_db


def test_whoever_sees_three_of_ten_and_selects_all_gets_three(customer_client):
    factories.ServerFactory.create_batch(7)
    mine = factories.ServerFactory.create_batch(3, people=[customer_client.user])
    confirm(customer_client, everything(), text="hello")
    assert asked_for() == {server.name for server in mine}


def test_somebody_elses_server_is_neither_named_nor_touched(customer_client):
    theirs, mine = factories.ServerFactory(name="secret-one"), factories.ServerFactory(people=[customer_client.user])
    page = customer_client.post(url(), ticked(theirs, mine))
    assert page.context["gone"] == 1
    assert "secret-one" not in page.content.decode()
    confirm(customer_client, ticked(theirs, mine), text="hello")
    assert asked_for() == {mine.name}


def test_other_servers_than_shown_are_not_touched_before_another_look(operator_client):
    factories.ServerFactory(name="one")
    page = operator_client.post(url(), everything())
    factories.ServerFactory(name="two")
    sent = page.context["carried"] | {"confirm": "1", "text": "hello"}
    again = operator_client.post(url(), sent)
    assert again.status_code == 422
    assert "other servers are meant" in again.content.decode()
    assert 'value="hello"' in again.content.decode()
    assert not Job.objects.exists()
    operator_client.post(url(), again.context["carried"] | {"confirm": "1", "text": "hello"})
    assert asked_for() == {"one", "two"}


def test_too_many_ticks_are_said_on_the_list(operator_client, monkeypatch):
    monkeypatch.setattr("servers.selecting.MOST", 1)
    answer = operator_client.post(url(), ticked(*factories.ServerFactory.create_batch(2)), follow=True)
    assert "select all that match" in answer.content.decode()


def test_a_filter_that_is_gone_leaves_nobody(operator_client):
    factories.ServerFactory()
    page = operator_client.post(url(), everything("tag=gone"))
    assert page.context["going"]["total"] == 0
    assert "Nothing in your list matches any more." in page.content.decode()
    assert "confirm" not in page.content.decode().split('id="bulk-go"')[1].split("</form>")[0]


def test_nobody_selected_is_said_on_the_list(operator_client):
    for sent in ({}, {"server": "nonsense"}):
        answer = operator_client.post(url(), sent, follow=True)
        assert answer.redirect_chain == [(LIST, 302)]
        assert "select servers first" in answer.content.decode()


def test_all_that_match_are_carried_as_the_query(operator_client):
    for number in range(60):
        factories.ServerFactory(name=f"web-{number:02}")
    page = operator_client.post(url(), everything("q=web"))
    assert page.context["carried"].keys() == {"which", "query", "digest", "newest"}
    assert page.content.decode().count('type="hidden"') < 10


def test_a_service_brings_its_own_filter_to_the_list(operator_client):
    factories.ServerFactory(name="own", note="has one")
    factories.ServerFactory(name="new")
    page = operator_client.get(LIST, {"note": "one"})
    assert [row.name for row in page.context["listing"].rows] == ["own"]
    assert '<option value="one" selected>One</option>' in page.content.decode()


def test_hostile_selections_are_nobody(operator_client):
    factories.ServerFactory()
    for query in ("q=%00", "q=" + "x" * 5000, "tag=" + "%ff" * 10, "&&&===", "state=<script>", "q='); drop table--"):
        page = operator_client.post(url(), everything(query))
        assert page.status_code == 200
        assert "<script>" not in page.content.decode().replace("<script src", "")
    assert operator_client.post(url(), QueryDict(urlencode({"servers": "," * 50_000})).dict()).status_code == 302

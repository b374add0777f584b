from datetime import UTC, datetime

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse

from controlpanel.access.gate import Permission
from controlpanel.access.models import AuditEntry
from controlpanel.web.listing import Filter
from servers import bulk, catalog
from servers.bulk import BulkForm, moment
from servers.jobs.models import Batch, Job, Status
from servers.models import Server
from tests import factories

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LIST = reverse("servers:list")


class WriteForm(BulkForm):
    action = "toy.write"
    text = forms.CharField()
    again = forms.BooleanField(required=False)

    def excluded(self, servers) -> dict:
        have = servers.filter(note="has one")
        return (
            {}
            if getattr(self, "cleaned_data", {}).get("again")
            else dict.fromkeys(have.values_list("pk", flat=True), "Has one.")
        )

    def effects(self, count: int) -> list[str]:
        return [f"{count} notes are written."]

    def ask(self, servers, *, by, policy=bulk.PLAIN) -> bulk.Asked:
        if self.cleaned_data["text"] == "refused":
            raise ValidationError("Not this text.")
        return super().ask(servers, by=by, policy=policy)


class RemoveForm(BulkForm):
    action = "toy.write"


@pytest.fixture(autouse=True)
def _toy(monkeypatch):
    action = catalog.Action("write", "Write", "wrote", Permission.RUN, None)
    entries = (
        catalog.Bulk("write", "Write note", f"{__name__}.WriteForm", Permission.RUN, front=True),
        catalog.Bulk("remove", "Remove note", f"{__name__}.RemoveForm", Permission.RUN, danger=True, at="from"),
    )
    by_note = Filter("note", "Note", [("one", "One")], lambda rows, value: rows.filter(note="has one"))
    service = catalog.Service(
        "toy", "Toy", (action,), "", dict, "", lambda _: {}, bulk=entries, filters=lambda viewer: [by_note]
    )
    monkeypatch.setitem(catalog._services, "toy", service)


def url(service: str = "toy", slug: str = "write") -> str:
    return reverse("servers:bulk", args=[service, slug])


def everything(query: str = "") -> dict:
    return {"which": "all", "query": query}


def ticked(*servers) -> dict:
    return {"server": [server.pk for server in servers]}


def confirm(client, selected: dict, *, address: str = "", follow_up: dict | None = None, **typed):
    """Opens the page and presses its button, with what the page itself carries."""
    page = client.post(address or url(), selected | typed)
    return client.post(address or url(), page.context["carried"] | {"confirm": "1"} | typed | (follow_up or {}))


def asked_for() -> set[str]:
    return set(Job.objects.values_list("server__name", flat=True))


def reasons(page) -> dict[str, list[str]]:
    return {out["reason"]: out["names"] for out in page.context["left_out"]}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("02:00", datetime(2026, 11, 22, 2, tzinfo=UTC)),  # tonight
        ("13:30", datetime(2026, 11, 21, 13, 30, tzinfo=UTC)),
        ("12:00", datetime(2026, 11, 22, 12, tzinfo=UTC)),
        ("2026-11-22T02:00", datetime(2026, 11, 22, 2, tzinfo=UTC)),
        ("2026-11-22 02:00+02:00", datetime(2026, 11, 22, 0, tzinfo=UTC)),
        ("2026-13-22T02:00", None),
        ("0001-01-01T00:00+14:00", None),
        ("24:00", None),
        ("tonight", None),
    ],
)
def test_times_are_read_in_utc_unless_they_name_their_zone(text, meant):
    assert moment(text, NOON) == meant


pytestmark = pytest.mark.django_db


def test_the_page_does_nothing_and_its_button_does_it(operator_client):
    servers = factories.ServerFactory.create_batch(3)
    page = operator_client.post(url(), ticked(*servers))
    assert page.context["effects"] == ["3 notes are written."]
    assert page.context["verb"] == "Write note on 3 servers"
    assert not Job.objects.exists()
    answer = confirm(operator_client, ticked(*servers), text="hello")
    assert answer["Location"] == reverse("jobs:batch", args=[Batch.objects.get().pk])
    assert asked_for() == {server.name for server in servers}
    assert AuditEntry.objects.filter(verb="asked for “Write”", actor=operator_client.user).count() == 3


def test_a_second_click_shows_what_the_first_one_made(operator_client):
    servers = factories.ServerFactory.create_batch(2)
    page = operator_client.post(url(), ticked(*servers) | {"text": "hello"})
    agreed = page.context["carried"] | {"confirm": "1", "text": "hello"}
    first, second = operator_client.post(url(), agreed), operator_client.post(url(), agreed)
    batch = Batch.objects.get()
    assert first.url == second.url == reverse("jobs:batch", args=[batch.pk])
    batch.jobs.update(status=Status.SUCCEEDED)
    assert confirm(operator_client, ticked(*servers), text="again", again="on").status_code == 302
    assert Batch.objects.count() == 2, "a page opened afterwards asks anew"


def test_one_server_leads_to_its_job(operator_client):
    answer = confirm(operator_client, ticked(factories.ServerFactory()), text="hello")
    assert answer["Location"] == reverse("jobs:job", args=[Job.objects.get().pk])


def test_an_entry_is_closed_to_whom_its_permission_lacks(operator_client, viewer_client):
    server = factories.ServerFactory()
    for client, address in (
        (viewer_client, url()),
        (operator_client, url("server", "tag")),
        (operator_client, url("toy", "x")),
    ):
        assert client.post(address, ticked(server) | {"confirm": "1"}).status_code == 404
    shown = operator_client.get(LIST).content.decode()
    assert url() in shown
    assert url("server", "tag") not in shown
    assert "selection" not in viewer_client.get(LIST).content.decode()


def test_everybody_who_stays_out_is_named_with_the_reason(operator_client):
    def server(name: str, **how):
        return factories.ServerFactory(name=name, **how)

    busy = server("busy")
    factories.JobFactory(server=busy, running=True)
    looking = server("looking")
    factories.JobFactory(server=looking, running=True, mutating=False)
    chosen = [
        *(busy, looking, server("archived", archived=True), server("offered", reach="key-offered")),
        *(server("changed", reach="key-changed"), server("dead", reach="failed"), server("own", note="has one")),
    ]
    page = operator_client.post(url(), ticked(*chosen))
    assert page.context["going"]["names"] == ["looking"]
    assert reasons(page) == {
        bulk.ARCHIVED: ["archived"],
        bulk.BUSY: ["busy"],
        bulk.KEY: ["changed", "offered"],
        bulk.UNREACHABLE: ["dead"],
        "Has one.": ["own"],
    }


def test_unreachable_servers_are_tried_when_a_person_says_so(operator_client):
    factories.ServerFactory(name="dead", reach="failed")
    factories.ServerFactory(name="changed", reach="key-changed")
    page = operator_client.post(url(), everything())
    assert page.context["going"]["total"] == 0
    assert page.context["offers_try"]
    confirm(operator_client, everything(), text="hello", try_all="on")
    assert asked_for() == {"dead"}


def test_the_tick_without_a_new_look_asks_once_more(operator_client):
    factories.ServerFactory(name="up")
    factories.ServerFactory(name="dead", reach="failed")
    answer = confirm(operator_client, everything(), text="hello", follow_up={"try_all": "on"})
    assert (answer.status_code, answer.context["changed"], answer.context["going"]["total"]) == (422, True, 2)
    assert not Job.objects.exists()


def test_a_check_of_the_connection_leaves_nobody_out(operator_client):
    for reach in Server.Reach.values:
        factories.ServerFactory(reach=reach)
    confirm(operator_client, everything(), address=url("server", "check"))
    assert Job.objects.filter(action="server.check").count() == len(Server.Reach.values)


def test_what_was_chosen_decides_who_stays_out(operator_client):
    factories.ServerFactory(name="own", note="has one")
    factories.ServerFactory(name="new")
    shown = operator_client.post(url(), everything() | {"text": "hello", "again": "on", "digest": "x"})
    assert shown.context["going"]["names"] == ["new", "own"]
    confirm(operator_client, everything(), text="hello", again="on")
    assert asked_for() == {"new", "own"}


def test_a_refused_field_stands_beside_it_and_nothing_is_asked(operator_client):
    factories.ServerFactory.create_batch(2)
    for typed, form, field in (
        ({"text": ""}, "form", "text"),
        ({"text": "refused"}, "form", "__all__"),
        ({"text": "a", "how-canary": "x"}, "how", "canary"),
        ({"text": "a", "how-start_at": "soon"}, "how", "start_at"),
    ):
        answer = confirm(operator_client, everything(), follow_up=typed)
        assert answer.status_code == 422
        found = answer.context[form].errors if form == "form" else {b.name: b.errors for b in answer.context["how"]}
        assert found[field]
        assert answer.context["how_open"] or form == "form"
    assert not Batch.objects.exists()


def test_looking_complains_about_nothing_and_keeps_what_was_typed(operator_client):
    factories.ServerFactory.create_batch(2)
    page = operator_client.post(url(), everything() | {"digest": "x", "how-canary": "1"})
    assert not page.context["form"].errors
    text = page.content.decode()
    assert 'name="how-canary" value="1"' in text
    assert "This field is required" not in text


def test_the_policy_goes_with_the_batch(operator_client):
    factories.ServerFactory.create_batch(3)
    how = {"how-canary": "1", "how-stop_percent": "20", "how-order": "random", "how-start_at": "2099-01-02T02:00"}
    confirm(operator_client, everything(), text="hello", **how)
    made = Batch.objects.get()
    assert (made.canary, made.stop_percent, made.starts_at) == (1, 20, datetime(2099, 1, 2, 2, tzinfo=UTC))


def test_one_server_can_wait_for_its_time_and_a_tag_cannot(administrator_client):
    server = factories.ServerFactory()
    page = administrator_client.post(url(), ticked(server))
    assert [field.name for field in page.context["how"]] == ["start_at", "end_at"]
    assert administrator_client.post(url("server", "tag"), ticked(server)).context["how"] == []


def test_destruction_wants_the_count_typed(operator_client):
    factories.ServerFactory.create_batch(3)
    address = url("toy", "remove")
    for typed in ("", "2", "all"):
        answer = confirm(operator_client, everything(), address=address, **{"sure-count": typed})
        assert answer.status_code == 422
        assert answer.context["count"].errors
    assert not Job.objects.exists()
    confirm(operator_client, everything(), address=address, **{"sure-count": "3"})
    assert Job.objects.count() == 3


def test_a_link_opens_the_page_and_never_does_it(operator_client):
    factories.ServerFactory(name="own", note="has one")
    factories.ServerFactory(name="new")
    page = operator_client.get(url(), everything("note=one") | {"confirm": "1", "text": "hello", "again": "on"})
    assert page.context["going"]["names"] == ["own"]
    assert 'value="hello"' in page.content.decode()
    assert not Job.objects.exists()

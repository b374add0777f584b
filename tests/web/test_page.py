import re

import pytest
from django.contrib import messages
from django.contrib.messages.storage.fallback import FallbackStorage
from django.test import Client
from django.urls import reverse

from controlpanel.access.models import Role
from controlpanel.web import page
from tests import factories

pytestmark = pytest.mark.django_db
PAGES = ["dashboard", "people:list", "audit:list", "profile", "servers:list", "jobs:list", "smarthosts:list"]


@pytest.fixture
def ask(rf, administrator):
    def make(**headers):
        request = rf.get("/", headers=headers)
        request.user, request.session = administrator, {}
        request._messages = FallbackStorage(request)
        from django_htmx.middleware import HtmxDetails

        request.htmx = HtmxDetails(request)
        return request

    return make


@pytest.mark.parametrize("name", PAGES)
def test_the_fragment_is_the_page_without_its_frame(administrator_client, name):
    whole = administrator_client.get(reverse(name)).content.decode()
    part = administrator_client.get(reverse(name), headers={"HX-Request": "true"}).content.decode()
    assert "<html" in whole
    assert "<html" not in part
    assert "<title>" in part
    assert len(part) < len(whole)


@pytest.mark.parametrize("header", ["HX-Boosted", "HX-History-Restore-Request"])
def test_boosted_links_and_history_get_the_whole_page(administrator_client, header):
    answer = administrator_client.get("/", headers={"HX-Request": "true", header: "true"})
    assert "<html" in answer.content.decode()


def test_a_page_is_never_kept_by_a_cache_and_varies_by_who_asks(administrator_client):
    answer = administrator_client.get("/")
    assert "no-store" in answer.headers["Cache-Control"]
    assert "HX-Request" in answer.headers["Vary"]


def test_the_last_refresh_stops_the_polling_only_where_something_polls(ask):
    assert page.stop_polling(ask(HX_Request="true"), "components/empty.html").status_code == 286
    assert page.stop_polling(ask(), "components/empty.html").status_code == 200


def test_going_on_works_for_htmx_and_for_plain_forms(ask):
    assert page.go(ask(), "profile").status_code == 302
    assert page.go(ask(HX_Request="true"), "profile").headers["HX-Redirect"] == reverse("profile")


def test_messages_reach_a_fragment_too(ask):
    request = ask(HX_Request="true")
    messages.success(request, "Saved <b>")
    assert "Saved &lt;b&gt;" in page.render(request, "base.html").content.decode()


def test_remote_text_is_downloaded_as_text(ask):
    answer = page.text_download("job-1.txt", "<script>")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("name", PAGES)
def test_every_page_carries_the_strict_policy(administrator_client, name):
    headers = administrator_client.get(reverse(name)).headers
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("role", Role.values)
def test_the_sidebar_offers_exactly_what_opens(role):
    client = Client()
    client.force_login(factories.UserFactory(role=role))
    shown = re.findall(r'<a class="nav-link" href="([^"]+)"', client.get("/").content.decode())
    assert {client.get(address).status_code for address in shown} == {200}
    if role in (Role.VIEWER, Role.CUSTOMER):
        assert not [address for address in shown if address.startswith("/settings/")]


@pytest.mark.parametrize(("theme", "expected"), [("dark", 'data-bs-theme="dark"'), ("auto", 'class="theme-auto')])
def test_the_theme_is_in_the_first_byte_not_set_by_a_script(theme, expected):
    client = Client()
    client.force_login(factories.UserFactory(theme=theme))
    assert expected in client.get("/").content.decode()


def test_a_name_with_markup_is_shown_as_text():
    client = Client()
    client.force_login(factories.AdministratorFactory(name="<img src=x onerror=alert(1)>"))
    for name in PAGES:
        assert "<img src=x" not in client.get(reverse(name)).content.decode()


def test_a_session_that_ended_under_a_refreshing_page_leads_the_window_to_sign_in():
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/servers/?q=a"}
    answer = Client().get("/", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["HX-Redirect"] == f"{reverse('account_login')}?next=%2Fservers%2F"
    assert not answer.content

import pytest
from django.urls import reverse

from controlpanel.access.models import AuditEntry, Role
from servers.models import HostKey, SavedFilter, Server
from servers.remote.secret import Secret
from tests import factories
from tests.servers import naughty

pytestmark = pytest.mark.django_db

EVERYBODY = {Role.ADMINISTRATOR, Role.OPERATOR, Role.VIEWER, Role.CUSTOMER}
RUNNERS = EVERYBODY - {Role.VIEWER}
ADMINISTRATORS = {Role.ADMINISTRATOR}
GET, POST = "get", "post"
# page: (who may, methods it answers); everybody else gets 404
PAGES = {
    "list": (EVERYBODY, {GET}),
    "archived": (EVERYBODY, {GET}),
    "bulk": (RUNNERS, {GET, POST}),
    "keep-filter": (EVERYBODY, {POST}),
    "delete-filter": (EVERYBODY, {POST}),
    "import": (ADMINISTRATORS, {GET, POST}),
    "import-draft": (ADMINISTRATORS, {GET, POST}),
    "import-done": (ADMINISTRATORS, {GET, POST}),
    "export": (ADMINISTRATORS, {GET}),
    "add": (ADMINISTRATORS, {GET, POST}),
    "server": (EVERYBODY, {GET}),
    "services": (EVERYBODY, {GET}),
    "jobs": (EVERYBODY, {GET}),
    "settings": (ADMINISTRATORS, {GET, POST}),
    "settings-sign-in": (ADMINISTRATORS, {POST}),
    "people": (ADMINISTRATORS, {POST}),
    "setup": (ADMINISTRATORS, {GET}),
    "sign-in": (ADMINISTRATORS, {POST}),
    "check": (RUNNERS, {POST}),
    "pin": (ADMINISTRATORS, {POST}),
    "refuse": (ADMINISTRATORS, {POST}),
    "archive": (ADMINISTRATORS, {GET, POST}),
    "restore": (ADMINISTRATORS, {POST}),
    "delete": (ADMINISTRATORS, {GET, POST}),
}
TOKEN = "6f9c2b1e-8d3a-4f5b-9c7d-0a1b2c3d4e5f"
ARGUMENTS = {"bulk": ["server", "check"], "delete-filter": [1], "import-draft": [TOKEN], "import-done": [TOKEN]}
OF_ONE_SERVER = sorted(set(PAGES) - {"list", "archived", "add", "keep-filter", "import", "export", *ARGUMENTS})


def url(name: str, server=None) -> str:
    return reverse(f"servers:{name}", args=[server.pk] if server and name in OF_ONE_SERVER else ARGUMENTS.get(name, []))


def test_every_page_is_in_the_table():
    from servers.urls import _pages

    assert {page.name for page in _pages} == set(PAGES)


@pytest.mark.parametrize("role", Role.values)
@pytest.mark.parametrize("name", PAGES)
def test_who_may_open_what(name, role, client):
    may, methods = PAGES[name]
    person = factories.UserFactory(role=role)
    server = factories.ServerFactory(people=[person], pinned=True)
    if name == "delete-filter":
        SavedFilter.objects.create(pk=1, user=person, name="Web", query="q=web")
    client.force_login(person)
    for method in methods:
        answer = getattr(client, method)(url(name, server))
        assert answer.status_code in ({200, 302, 422} if role in may else {404}), (method, answer.status_code)


@pytest.mark.parametrize("name", PAGES)
def test_strangers_are_sent_to_sign_in(name, client):
    server = factories.ServerFactory()
    for method in PAGES[name][1]:
        answer = getattr(client, method)(url(name, server))
        assert answer.status_code == 302
        assert answer["Location"].startswith(reverse("account_login"))


@pytest.mark.parametrize("name", OF_ONE_SERVER)
def test_a_customer_gets_404_for_somebody_elses_server(name, customer_client):
    server = factories.ServerFactory()
    for method in PAGES[name][1]:
        assert getattr(customer_client, method)(url(name, server)).status_code == 404


@pytest.mark.parametrize("name", sorted(name for name, (_, methods) in PAGES.items() if GET not in methods))
def test_reading_changes_nothing(name, administrator_client):
    assert administrator_client.get(url(name, factories.ServerFactory())).status_code == 405


def test_a_customer_learns_neither_other_servers_nor_other_people(customer, customer_client):
    bastion = factories.ServerFactory(name="secret-bastion")
    colleague = factories.CustomerFactory(name="Somebody Else")
    mine = factories.ServerFactory(people=[customer, colleague], jump=bastion, tags=["mine"])
    factories.ServerFactory(name="not-mine", tags=["hidden-tag"])
    key = factories.HostKeyFactory(server=mine, state=HostKey.State.PINNED)
    key.accepted_by = factories.AdministratorFactory(name="Adm Inistrator")
    key.save()
    factories.JobFactory(server=mine, succeeded=True)
    for name in ("list", "server", "services", "jobs"):
        text = customer_client.get(url(name, mine)).content.decode()
        for secret in ("secret-bastion", "Somebody Else", "not-mine", "hidden-tag", "Adm Inistrator", "Person "):
            assert secret not in text.replace(str(customer), ""), (name, secret)


@pytest.mark.parametrize(
    ("role", "words"),
    [
        (Role.ADMINISTRATOR, {"Add server", "Check connection", "Settings"}),
        (Role.OPERATOR, {"Check connection"}),
        (Role.VIEWER, set()),
        (Role.CUSTOMER, {"Check connection"}),
    ],
)
def test_nobody_sees_a_button_he_cannot_use(role, words, client):
    person = factories.UserFactory(role=role)
    server = factories.ServerFactory(people=[person])
    factories.HostKeyFactory(server=server)
    client.force_login(person)
    text = client.get(url("list")).content.decode() + client.get(url("server", server)).content.decode()
    for word, link in (
        ("Add server", url("add")),
        ("Check connection", f'action="{url("check", server)}"'),
        ("Settings", f'href="{url("settings", server)}"'),
    ):
        assert (link in text) == (word in words), word
    assert (url("pin", server) in text) == (role == Role.ADMINISTRATOR)


def test_the_list_costs_the_same_for_one_server_and_for_forty(administrator_client, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert administrator_client.get(url("list")).status_code == 200
        return len(queries)

    def server():
        row = factories.ServerFactory(tags=["a", "b"], pinned=True)
        factories.JobFactory(server=row, succeeded=True)
        factories.GatewayFactory(server=row, working=True)

    server()
    administrator_client.get(url("list"))
    one = cost()
    for _ in range(39):
        server()
    assert cost() == one
    assert one <= 14


def names(client, **query) -> list[str]:
    return [row.name for row in client.get(url("list"), query).context["listing"].rows]


def test_search_tag_state_and_order(administrator_client):
    factories.ServerFactory(name="b-shop", address="10.0.0.2", tags=["shop"], reach="failed")
    working = factories.ServerFactory(name="a-web", address="10.0.0.1", tags=["web", "shop"])
    factories.GatewayFactory(server=working, working=True)
    factories.ServerFactory(name="old", archived=True)
    assert names(administrator_client) == ["a-web", "b-shop"]
    assert names(administrator_client, sort="-name") == ["b-shop", "a-web"]
    assert names(administrator_client, q="10.0.0.2") == ["b-shop"]
    assert names(administrator_client, q="shop") == ["a-web", "b-shop"]
    assert names(administrator_client, tag="web") == ["a-web"]
    assert names(administrator_client, state="working") == ["a-web"]
    assert names(administrator_client, state="needs-you") == ["b-shop"]
    assert names(administrator_client, state="nonsense", tag="nonsense", sort="password", page="x") == [
        "a-web",
        "b-shop",
    ]
    archived = administrator_client.get(url("archived")).context["listing"].rows
    assert [row.name for row in archived] == ["old"]


def test_a_server_with_two_matching_tags_is_listed_once(administrator_client):
    factories.ServerFactory(name="one", tags=["eu-1", "eu-2"])
    assert names(administrator_client, q="eu") == ["one"]


WHERE = {"name": "web-1", "address": "web-1.example.com", "port": "22", "user": "root"}


def test_adding_reads_the_host_key_next(administrator_client, administrator):
    answer = administrator_client.post(url("add"), WHERE | {"tags": "Shop, eu", "note": "hello"})
    server = Server.objects.get()
    assert answer["Location"] == url("setup", server)
    assert [tag.name for tag in server.tags.all()] == ["eu", "shop"]
    assert server.jobs.get().action == "server.check"
    assert AuditEntry.objects.get(verb="added", subject_kind="server").actor == administrator


@pytest.mark.parametrize("field", ["name", "address", "port", "user", "tags", "note", "jump"])
def test_hostile_input_is_refused_kept_and_nothing_is_saved(field, administrator_client):
    for value in [*naughty.HOSTILE, "x" * 3000, "２２", "2_2", "22.0", "-1", "1e1", "00000000000000000022"]:
        value = value.encode("utf-8", "replace").decode()
        answer = administrator_client.post(url("add"), WHERE | {"name": "typed-name"} | {field: value})
        if answer.status_code == 302:
            server = Server.objects.get()
            kept = " ".join(tag.name for tag in server.tags.all()) if field == "tags" else str(getattr(server, field))
            assert not any(c in kept for c in ("\0\x1b\u202e" if field == "note" else "\0\x1b\u202e<$`;|")), (
                field,
                value,
            )
            server.jobs.all().delete()
            server.delete()
            continue
        assert answer.status_code == 422, (field, value)
        assert not Server.objects.exists()
        if field != "name":
            assert 'value="typed-name"' in answer.content.decode()
        assert answer.context["form"].errors[field], (field, value)


def test_line_breaks_around_a_name_are_refused_not_swallowed(administrator_client):
    for value in ("web-1\n", "\r\nweb-1", "web-1\0", "\tweb-1"):
        assert administrator_client.post(url("add"), WHERE | {"name": value}).status_code == 422


def test_a_refused_sign_in_gives_no_secret_back(administrator_client):
    server = factories.ServerFactory(user="deploy", sudo="nopasswd", pinned=True)
    typed = {
        "method": "own",
        "private_key": "canary-private",
        "password": "canary-pw",
        "sudo": "x",
        "sudo_password": "canary-s",
    }
    for name in ("sign-in", "settings-sign-in"):
        answer = administrator_client.post(url(name, server), typed)
        assert answer.status_code == 422
        assert "canary" not in answer.content.decode()


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"method": "own", "private_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"}, "private_key"),
        ({"method": "own"}, "private_key"),
        ({"method": "once"}, "password"),
        ({"method": "password"}, "password"),
        ({"method": "password", "password": "a\nb"}, "password"),
        ({"method": "paste", "sudo": "password"}, "sudo_password"),
        ({"method": "paste", "sudo": "none"}, "sudo"),
        ({"method": "telepathy"}, "method"),
    ],
)
def test_sign_in_complaints_stand_beside_their_field(typed, field, administrator_client):
    server = factories.ServerFactory(user="deploy", sudo="nopasswd", pinned=True)
    answer = administrator_client.post(url("sign-in", server), {"sudo": "nopasswd"} | typed)
    assert answer.status_code == 422
    assert answer.context["form"].errors[field]
    assert not server.jobs.exists()


def test_stored_password_and_own_key_are_write_only(administrator_client):
    server = factories.ServerFactory(pinned=True)
    administrator_client.post(url("sign-in", server), {"method": "password", "password": "canary ' \" \\ $ %"})
    assert Server.objects.get().password == Secret("canary ' \" \\ $ %")
    for name in ("server", "settings", "setup", "jobs"):
        assert "canary" not in administrator_client.get(url(name, server)).content.decode()
    assert "canary" not in str(list(AuditEntry.objects.values()))


def test_changing_the_address_asks_for_the_password_again(administrator_client):
    server = factories.ServerFactory(by_password=True, pinned=True)
    moved = {"name": server.name, "address": "evil.example", "port": "22", "user": "root"}
    answer = administrator_client.post(url("settings", server), moved)
    assert answer.status_code == 422
    assert "Type the password" in answer.context["where"].errors["password"][0]
    assert Server.objects.get().address != "evil.example"
    administrator_client.post(url("settings", server), moved | {"password": "new"})
    assert Server.objects.get().password == Secret("new")


def test_accepting_an_offered_key_and_only_that(administrator_client, administrator):
    server = factories.ServerFactory()
    key = factories.HostKeyFactory(server=server)
    administrator_client.post(url("pin", server), {"fingerprint": "SHA256:other"})
    assert not server.login().pinned
    page = administrator_client.get(url("setup", server)).content.decode()
    assert key.fingerprint in page
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in page
    administrator_client.post(url("pin", server), {"fingerprint": key.fingerprint, "from": "setup"})
    key.refresh_from_db()
    assert (key.state, key.accepted_by) == (HostKey.State.PINNED, administrator)


def test_the_page_shows_the_exact_line_to_paste(administrator_client):
    server = factories.ServerFactory(pinned=True)
    answer = administrator_client.get(url("setup", server))
    command = answer.context["paste_command"]
    assert "authorized_keys" in command
    assert answer.context["public_key"].strip() in command


def test_two_clicks_make_one_check(operator_client):
    server = factories.ServerFactory()
    for _ in range(2):
        operator_client.post(url("check", server))
    assert server.jobs.count() == 1


def test_an_archived_server_is_not_checked(operator_client):
    server = factories.ServerFactory(archived=True)
    operator_client.post(url("check", server))
    assert not server.jobs.exists()


def test_delete_wants_the_name_and_a_yes_for_what_is_installed(administrator_client):
    server = factories.ServerFactory(name="web-1")
    factories.GatewayFactory(server=server, working=True)
    assert "Email gateway stays installed there" in administrator_client.get(url("delete", server)).content.decode()
    for typed in ({"name": "web-2", "forget": "on"}, {"name": "web-1"}, {"forget": "on"}):
        assert administrator_client.post(url("delete", server), typed).status_code == 422
    assert administrator_client.post(url("delete", server), {"name": "web-1", "forget": "on"}).status_code == 302
    assert not Server.objects.exists()


def test_hostile_names_and_remote_words_are_text(administrator_client):
    server = factories.ServerFactory(note="<script>alert(1)</script>")
    evil = "<img src=x onerror=alert(1)>"
    server.findings = {
        "stages": [{"slug": "ssh", "title": "SSH", "state": "fail", "text": evil, "evidence": evil, "hint": evil}],
        "facts": {"os": evil},
    }
    server.save()
    factories.JobFactory(server=server, failed=True, outcome=evil)
    for name in ("list", "server", "jobs", "settings", "delete", "archive"):
        text = administrator_client.get(url(name, server)).content.decode()
        assert evil not in text
        assert "<script>alert" not in text


def test_empty_list_says_what_to_do_next(administrator_client, viewer_client):
    assert url("add") in administrator_client.get(url("list")).content.decode()
    text = viewer_client.get(url("list")).content.decode()
    assert "No servers yet" in text
    assert url("add") not in text


def test_assigning_people_makes_the_server_visible_to_them(administrator_client, customer, customer_client):
    server = factories.ServerFactory()
    assert customer_client.get(url("server", server)).status_code == 404
    administrator_client.post(url("people", server), {"people": [customer.pk]})
    assert customer_client.get(url("server", server)).status_code == 200

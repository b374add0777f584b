import pytest
from django.core.exceptions import ValidationError

from controlpanel.access.models import AuditEntry
from servers import catalog, inventory
from servers.models import Blocked, HostKey, Server, Tag, TooManyJumps
from servers.remote.secret import Secret
from tests import factories
from tests.servers import naughty

pytestmark = pytest.mark.django_db


def add(**values) -> Server:
    return inventory.add(**{"by": "test", "name": "web-1", "address": "web-1.example.com", **values})


def refused(action, field: str) -> str:
    before = list(Server.objects.values()), AuditEntry.objects.count()
    with pytest.raises(ValidationError) as error:
        action()
    assert (list(Server.objects.values()), AuditEntry.objects.count()) == before, "nothing is half-saved"
    return error.value.message_dict[field][0]


def test_a_server_signs_in_with_the_panels_own_key_unless_told_otherwise():
    first, second = add(), add(name="web-2")
    assert first.ssh_key == second.ssh_key
    assert first.ssh_key.is_default
    assert first.login().private_key.reveal().startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----")


def test_adding_is_audited_with_secrets_only_as_set_or_not():
    add(sign_in="password", password=Secret("canary-1"))
    entry = AuditEntry.objects.get(verb="added", subject_kind="server")
    assert entry.detail["password"] == "set"
    assert entry.detail["sudo_password"] == "not set"
    assert "canary" not in str(list(AuditEntry.objects.values()))


def test_a_refused_server_leaves_no_trace():
    refused(lambda: add(address="web 1"), "address")
    refused(lambda: add(tags=["ok", "-bad"]), "tags")
    assert not Tag.objects.exists()


@pytest.mark.parametrize("field", ["name", "address", "user", "note"])
def test_hostile_text_is_refused_or_harmless(field):
    for value in naughty.strings():
        try:
            server = add(**{field: value, "sudo": "nopasswd"})
        except ValidationError as error:
            assert field in error.message_dict, repr(value)
        else:
            kept = getattr(server, field)
            assert not kept.startswith("-") or field == "note"
            assert not any(c in kept for c in "\r\n\0\x1b\u202e") or field == "note"
            inventory.delete(server, by="test")


def test_names_are_one_server_each_whatever_their_case():
    add(name="Web-1")
    assert "There is a server with this name." in refused(lambda: add(name="web-1"), "__all__")


def test_one_spelling_is_kept():
    server = add(name=" web-1 ", address="[2001:DB8:0::1]", tags=["Shop", "shop", " eu "])
    assert (server.name, server.address) == ("web-1", "2001:db8::1")
    assert [tag.name for tag in server.tags.all()] == ["eu", "shop"]


def test_a_user_who_is_not_root_needs_sudo():
    assert "how sudo works" in refused(lambda: add(user="deploy"), "sudo")
    assert "sudo password" in refused(lambda: add(user="deploy", sudo="password"), "sudo_password")
    add(user="deploy", sudo="password", sudo_password=Secret("s"))


def test_a_password_sign_in_needs_a_password_and_serves_sudo_too():
    refused(lambda: add(sign_in="password"), "password")
    server = add(user="deploy", sign_in="password", password=Secret("both"), sudo="password")
    assert server.login().sudo_password == Secret("both")


@pytest.mark.parametrize("place", [{"address": "evil.example"}, {"port": 2222}, {"user": "other"}])
def test_a_stored_password_is_never_sent_to_a_new_place(place):
    """Faults T29: changing where a server is drops the passwords that are not typed again."""
    server = add(user="deploy", sign_in="password", password=Secret("p"), sudo="password", sudo_password=Secret("s"))
    assert "Type the password" in refused(lambda: inventory.change(server, by="test", **place), "password")
    retyped = inventory.change(server, by="test", password=Secret("new"), **place)
    assert retyped.password == Secret("new")
    assert retyped.sudo_password is None


def test_a_password_without_a_use_is_dropped():
    server = add(sign_in="password", password=Secret("p"))
    assert inventory.change(server, by="test", sign_in="key", ssh_key=factories.SshKeyFactory()).password is None


def test_a_change_says_what_changed_and_no_change_says_nothing():
    server = add()
    inventory.change(server, by="test", note="x", name="web-9")
    entry = AuditEntry.objects.get(verb="changed")
    assert entry.detail["changed"] == {"name": ["web-1", "web-9"], "note": ["", "x"]}
    inventory.change(server, by="test", note="x")
    assert AuditEntry.objects.filter(verb="changed").count() == 1


def chain(length: int) -> list[Server]:
    servers = [add(name="hop-0")]
    for number in range(1, length):
        servers.append(add(name=f"hop-{number}", jump=servers[-1]))
    return servers


def test_jump_servers_stand_at_most_four_in_a_row():
    servers = chain(5)
    assert servers[-1].login().jump.jump.jump.jump.jump is None
    assert "At most 4" in refused(lambda: add(name="too-far", jump=servers[-1]), "jump")
    other = add(name="other")
    refused(lambda: inventory.change(servers[0], by="test", jump=other), "jump")


def test_a_jump_loop_is_refused():
    servers = chain(3)
    for last in servers:
        assert "itself" in refused(lambda last=last: inventory.change(servers[0], by="test", jump=last), "jump")


def test_a_loop_made_behind_our_back_ends():
    one, two = chain(2)
    Server.objects.filter(pk=one.pk).update(jump=two)
    with pytest.raises(TooManyJumps):
        Server.objects.get(pk=one.pk).login()


def test_a_blocked_jump_server_blocks_what_is_behind_it():
    one, two = chain(2)
    Server.objects.filter(pk=one.pk).update(reach=Server.Reach.KEY_CHANGED)
    with pytest.raises(Blocked, match="hop-0"):
        Server.objects.get(pk=two.pk).login()


def test_people_and_tags_are_audited_once():
    server, customer = add(), factories.CustomerFactory()
    for _ in range(2):
        inventory.assign(server, [customer], by="test")
        inventory.retag(server, ["Eu"], by="test")
    assert Server.objects.visible_to(customer).get() == server
    assert AuditEntry.objects.filter(verb__in=["assigned people to", "tagged"]).count() == 2
    inventory.retag(server, [], by="test")
    assert not Tag.objects.exists()


def test_archive_and_restore():
    server = add()
    inventory.archive(server, by="test")
    assert not Server.objects.live().exists()
    assert "archived" in refused(lambda: add(name="b", jump=Server.objects.get()), "jump")
    inventory.restore(server, by="test")
    assert Server.objects.live().get() == server
    assert list(AuditEntry.objects.filter(verb__in=["archived", "restored"]).values_list("verb", flat=True)) == [
        "restored",
        "archived",
    ]


@pytest.mark.parametrize("verb", [inventory.archive, inventory.delete])
def test_a_server_others_need_stays(verb):
    one, _ = chain(2)
    with pytest.raises(inventory.Kept, match="hop-1 is reached through hop-0"):
        verb(one, by="test")


@pytest.mark.parametrize("verb", [inventory.archive, inventory.delete])
def test_a_server_with_a_job_under_way_stays(verb):
    job = factories.JobFactory(running=True)
    with pytest.raises(inventory.Kept, match="has not finished"):
        verb(job.server, by="test")


@pytest.fixture
def installed(monkeypatch):
    """A service that says it is on every server."""
    toy = catalog.Service(
        "toy", "Toy", (), "", dict, "", lambda servers: {s.pk: catalog.State("working") for s in servers}
    )
    monkeypatch.setitem(catalog._services, "toy", toy)


def test_delete_refuses_while_something_is_installed_unless_told_to_forget_it(installed):
    server = add()
    factories.HostKeyFactory(server=server)
    with pytest.raises(inventory.Kept, match="Toy may still be installed on web-1"):
        inventory.delete(server, by="test")
    assert Server.objects.exists()
    inventory.delete(server, by="test", forget=True)
    assert not Server.objects.exists()
    assert not HostKey.objects.exists()
    assert AuditEntry.objects.get(verb="deleted").detail["left_installed"] == ["Toy"]


def test_a_customer_sees_only_assigned_servers_and_nobody_inactive_sees_any():
    mine, _ = add(), add(name="other")
    customer = factories.CustomerFactory(servers=[mine])
    assert list(Server.objects.visible_to(customer)) == [mine]
    customer.is_active = False
    assert not Server.objects.visible_to(customer)

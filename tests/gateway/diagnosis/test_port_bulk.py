"""Another port for exactly the servers it is for: their account, typed password, nobody else touched."""

import pytest
from django.core.exceptions import ValidationError

from controlpanel.access.models import AuditEntry
from gateway import port_bulk
from gateway.models import Gateway, Smarthost
from gateway.port_bulk import UsePortForm
from servers.jobs.models import Job
from servers.models import Server
from servers.remote.secret import Secret
from tests.factories import GatewayFactory, OwnSmarthostFactory, ServerFactory, SmarthostFactory

pytestmark = pytest.mark.django_db
TYPED = {"port": "2525", "tls": "starttls", "password": "canary typed again"}


def form(viewer, **changes) -> UsePortForm:
    made = UsePortForm(TYPED | changes, viewer=viewer)
    assert made.is_valid(), made.errors
    return made


def wants(smarthost, count: int = 1) -> list[Server]:
    return [GatewayFactory(working=True, wanted=smarthost).server for _ in range(count)]


def of(servers: list[Server]):
    return Server.objects.filter(pk__in=[server.pk for server in servers])


def wanted(server: Server) -> Smarthost:
    return Gateway.objects.get(server=server).wanted


def test_servers_of_a_shared_provider_get_one_beside_it_and_the_others_stay(administrator):
    shared = SmarthostFactory(name="Main")
    moving, staying = wants(shared, 3), wants(shared, 2)
    batch = form(administrator).ask(of(moving), by=administrator).batch
    (beside,) = {wanted(server) for server in moving}
    assert (beside.name, beside.port, beside.tls, beside.server_id) == ("Main, port 2525", 2525, "starttls", None)
    assert beside.password.reveal() == b"canary typed again"
    assert (beside.host, beside.username, beside.sending_domain) == (shared.host, shared.username, "example.com")
    assert {wanted(server) for server in staying} == {shared} and Smarthost.objects.get(pk=shared.pk).port == 587
    assert batch.action == "gateway.install" and batch.jobs.count() == 3
    assert "canary" not in str(batch.options)
    told = AuditEntry.objects.filter(subject_kind="SMTP provider").values_list("verb", flat=True)
    assert list(told) == ["added"]


def test_a_second_time_it_is_the_same_one_and_its_password_need_not_be_typed(administrator):
    shared = SmarthostFactory(name="Main")
    form(administrator).ask(of(wants(shared)), by=administrator)
    more = wants(shared)
    form(administrator, password="").ask(of(more), by=administrator)
    assert wanted(more[0]).name == "Main, port 2525" and Smarthost.objects.shared().count() == 2


def test_own_values_stay_each_servers_own(operator):
    servers = []
    for _ in range(2):
        server = ServerFactory()
        GatewayFactory(server=server, wanted=OwnSmarthostFactory(server=server))
        servers.append(server)
    form(operator).ask(of(servers), by=operator)
    for server in servers:
        row = wanted(server)
        assert (row.server, row.port, row.password.reveal()) == (server, 2525, b"canary typed again")


def test_the_stored_password_goes_along_where_the_certificate_is_checked(administrator):
    shared, server = SmarthostFactory(password=Secret("canary of all")), ServerFactory()
    GatewayFactory(server=server, wanted=OwnSmarthostFactory(server=server, password=Secret("canary of one")))
    moving = [*wants(shared, 2), server]
    form(administrator, password="").ask(of(moving), by=administrator)
    assert {wanted(one).port for one in moving} == {2525} and Smarthost.objects.get(pk=shared.pk).port == 587
    assert wanted(server).password.reveal() == b"canary of one"
    assert {wanted(one).password.reveal() for one in moving[:2]} == {b"canary of all"}


def test_one_beside_it_without_a_password_is_given_the_stored_one(administrator):
    beside = SmarthostFactory(port=2525, password=None)
    servers = wants(SmarthostFactory(password=Secret("canary of all")))
    form(administrator, password="").ask(of(servers), by=administrator)
    assert wanted(servers[0]) == beside and wanted(servers[0]).password.reveal() == b"canary of all"


def test_a_password_whose_key_is_lost_is_typed_again(administrator, settings):
    servers = wants(SmarthostFactory())
    settings.VAULT_KEYS = [("other", "A" * 43 + "=")]
    with pytest.raises(ValidationError, match="does not open any more"):
        form(administrator, password="").ask(of(servers), by=administrator)
    assert not Job.objects.exists() and Smarthost.objects.count() == 1


def test_without_a_checked_certificate_nothing_is_begun_until_it_is_typed(administrator):
    servers = wants(SmarthostFactory(verify_certificate=False))
    with pytest.raises(ValidationError, match="Type the password"):
        form(administrator, password="").ask(of(servers), by=administrator)
    assert not Job.objects.exists() and Smarthost.objects.count() == 1


def test_who_is_left_out_and_why(administrator, operator):
    common = SmarthostFactory()
    going = wants(common, 3)
    (other,) = wants(SmarthostFactory(username="another@example.com"))
    (there,) = wants(SmarthostFactory(port=2525))
    bare = ServerFactory()
    everybody = of([*going, other, there, bare])
    assert form(administrator).excluded(everybody) == {
        other.pk: port_bulk.OTHER_ACCOUNT,
        there.pk: port_bulk.ALREADY,
        bare.pk: port_bulk.NO_PROVIDER,
    }
    assert form(operator).excluded(of(going)) == dict.fromkeys((s.pk for s in going), port_bulk.NOT_YOURS)


def test_before_a_port_is_chosen_the_page_can_already_be_shown(administrator):
    servers = wants(SmarthostFactory(port=2525))
    unbound = UsePortForm(viewer=administrator)
    assert unbound.excluded(of(servers)) == {} and "typed below" in unbound.effects(1)[0]


def test_clear_text_is_no_choice(administrator):
    assert not UsePortForm(TYPED | {"tls": "none"}, viewer=administrator).is_valid()

"""A shared provider's host and user name are for administrators, on every page that tells of a job or a state."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from gateway import smarthosts, values
from gateway.discretion import private
from gateway.models import Gateway
from servers.remote.secret import Secret
from tests.factories import (
    BatchFactory,
    GatewayFactory,
    JobFactory,
    JobLineFactory,
    JobStepFactory,
    OwnSmarthostFactory,
    ServerFactory,
    SmarthostFactory,
)

pytestmark = pytest.mark.django_db

HOST, USER, ADDRESS = "smtp.canary-host.example", "canary-user@example.com", "203.0.113.77"
ACCOUNT = {"host": HOST, "username": USER, "sending_domain": "example.com", "password": Secret("canary")}
OTHERS = ("operator", "viewer", "customer")
SAID = f"535 5.7.8 {USER} is wrong at {HOST.upper()}[{ADDRESS}]:587"


@pytest.fixture
def clients(administrator_client, operator_client, viewer_client, customer_client):
    return {
        "administrator": administrator_client,
        "operator": operator_client,
        "viewer": viewer_client,
        "customer": customer_client,
    }


@pytest.fixture
def server(customer):
    return ServerFactory(people=[customer])


def shared(server, administrator):
    return SmarthostFactory(**ACCOUNT)


def from_the_default(server, administrator):
    """Loaded defaults with another sending domain: the server's own row, with the default's password."""
    default = SmarthostFactory(default=True, **ACCOUNT)
    new = values.replace(values.of(default), sending_domain="other.example")
    return smarthosts.own(server, new, by=administrator, known=default)


def confidential(server, administrator):
    return OwnSmarthostFactory(server=server, confidential=True, **ACCOUNT)


def edited_since(server, administrator):
    row = smarthosts.create("p", values.Values(**ACCOUNT), by=administrator)
    new = values.Values(host="smtp.elsewhere.example", username="other", password=Secret("x"))
    return smarthosts.change(row, "p", new, by=administrator)[0]


def deleted_since(server, administrator):
    smarthosts.delete(smarthosts.create("p", values.Values(**ACCOUNT), by=administrator), by=administrator)


def own(server, administrator):
    return OwnSmarthostFactory(server=server, **ACCOUNT)


def own_and_shared_alike(server, administrator):
    SmarthostFactory(**ACCOUNT)
    return OwnSmarthostFactory(server=server, **ACCOUNT)


def pages(server, action: str = "gateway.install") -> dict[str, str]:
    """Every page with the words of a failed job, of a preview and of a broken gateway on it."""
    result = {"evidence": SAID, "relay": f"{HOST}[{ADDRESS}]:587", "reply": SAID, "queue_id": "4jW"}
    preview = {
        "steps": [{"slug": "a", "title": f"Ask {HOST}", "commands": [f"postconf relayhost=[{HOST}]:587"]}],
        "diffs": {"/etc/postfix/main.cf": f"+relayhost = [{HOST}]:587"},
        "notes": [SAID],
    }
    told = {"failed": True, "outcome": SAID, "hint": SAID, "cause": "535"}
    job = JobFactory(server=server, action=action, result=result, **told)
    step = JobStepFactory(job=job, state="failed", title=f"Ask {HOST}")
    JobLineFactory(step=step, text=f"Port: ok. {HOST} port 587 answers")
    JobLineFactory(step=step, text=f"relay={HOST}[{ADDRESS}]:587, {SAID}")
    tested = JobFactory(server=server, action="gateway.test", mutating=False, result=result, **told)
    previewed = JobFactory(
        server=server, action="gateway.preview", mutating=False, succeeded=True, result={"preview": preview}
    )
    refused = JobFactory(server=server, action="gateway.preview", mutating=False, result=result, **told)
    Gateway.objects.filter(server=server).update(state=Gateway.State.BROKEN, reason=SAID)
    return {
        "job": reverse("jobs:job", args=[job.pk]),
        "job with a preview": reverse("jobs:job", args=[previewed.pk]),
        "raw log": reverse("jobs:log", args=[job.pk]),
        "list": reverse("jobs:list"),
        "batch": reverse("jobs:batch", args=[job.batch_id]),
        "overview": reverse("servers:server", args=[server.pk]),
        "jobs of the server": reverse("servers:jobs", args=[server.pk]),
        "services": reverse("servers:services", args=[server.pk]),
        "test": reverse("gateway:tested", args=[server.pk, tested.pk]),
        "preview": reverse("gateway:previewed", args=[server.pk, previewed.pk]),
        "refused preview": reverse("gateway:previewed", args=[server.pk, refused.pk]),
        "servers": reverse("servers:list"),
        "dashboard": reverse("dashboard"),
    }


def names(text: str) -> bool:
    return any(word in text.lower() for word in (HOST, USER, ADDRESS))


def everywhere(client, server) -> dict[str, bool]:
    found = {}
    for name, path in pages(server).items():
        answer = client.get(path)
        assert answer.status_code in (200, 286), name
        found[name] = names(answer.content.decode())
    return found


@pytest.mark.parametrize("kind", [shared, from_the_default, confidential, edited_since, deleted_since])
@pytest.mark.parametrize("role", OTHERS)
def test_others_never_read_a_providers_host_or_user(role, kind, clients, server, administrator):
    GatewayFactory(server=server, wanted=kind(server, administrator), working=True)
    assert [name for name, told in everywhere(clients[role], server).items() if told] == []


@pytest.mark.parametrize("kind", [shared, from_the_default, confidential])
def test_an_administrator_reads_it_on_every_page(kind, clients, server, administrator):
    GatewayFactory(server=server, wanted=kind(server, administrator), working=True)
    assert [name for name, told in everywhere(clients["administrator"], server).items() if not told] == []


@pytest.mark.parametrize("kind", [own, own_and_shared_alike])
@pytest.mark.parametrize("role", ["administrator", *OTHERS])
def test_what_was_typed_for_a_server_stays_readable_there(role, kind, clients, server, administrator):
    GatewayFactory(server=server, wanted=kind(server, administrator), working=True)
    assert [name for name, told in everywhere(clients[role], server).items() if not told] == []


def test_what_was_typed_for_one_server_opens_nothing_on_another(customer_client, server, administrator):
    own_and_shared_alike(server, administrator)
    GatewayFactory(server=server, wanted=server.own_smarthosts.get(), working=True)
    other = ServerFactory(people=[customer_client.user])
    JobFactory(server=other, action="gateway.install", failed=True, outcome=SAID)
    assert not names(customer_client.get(reverse("servers:server", args=[other.pk])).content.decode())


@pytest.mark.parametrize("role", OTHERS)
def test_searching_jobs_tells_nothing_of_hidden_words(role, clients, server, administrator):
    GatewayFactory(server=server, wanted=shared(server, administrator))
    job = JobFactory(server=server, action="gateway.install", failed=True, outcome=SAID)
    for word, found in (("canary-host", False), ("535", False), (server.name, True)):
        text = clients[role].get(reverse("jobs:list"), {"q": word}).content.decode()
        assert (reverse("jobs:job", args=[job.pk]) in text) == found, word
    text = clients["administrator"].get(reverse("jobs:list"), {"q": "canary-host"}).content.decode()
    assert reverse("jobs:job", args=[job.pk]) in text


def test_each_page_costs_the_same_for_one_hidden_provider_and_for_many(operator_client, server, administrator):
    GatewayFactory(server=server, wanted=shared(server, administrator), working=True)
    batch = BatchFactory(action="gateway.install")

    def cost(path):
        operator_client.get(path)
        with CaptureQueriesContext(connection) as queries:
            operator_client.get(path)
        return len(queries)

    def fail(server, cause):
        JobFactory(batch=batch, server=server, action="gateway.install", failed=True, outcome=SAID, cause=cause)

    fail(server, "535")
    paths = [
        reverse("jobs:list"),
        reverse("jobs:batch", args=[batch.pk]),
        reverse("servers:list"),
        reverse("servers:jobs", args=[server.pk]),
        reverse("dashboard"),
    ]
    Gateway.objects.update(state="broken", reason=SAID)
    few = [cost(path) for path in paths]
    for number in range(12):
        row = SmarthostFactory(host=f"smtp{number}.example.com")
        broken = GatewayFactory(wanted=row, state="broken", reason=f"at {row.host}").server
        fail(broken, f"cause-{number}")
        JobFactory(server=server, action="gateway.check", mutating=False, failed=True, outcome=SAID)
    assert [cost(path) for path in paths] == few


def test_nothing_is_asked_for_those_who_may_read_it_all(administrator, operator, server, django_assert_num_queries):
    SmarthostFactory(**ACCOUNT)
    with django_assert_num_queries(0):
        assert private(administrator, [server.pk]) == {}
    with django_assert_num_queries(2):
        assert private(operator, [server.pk])[server.pk][HOST] == "the SMTP provider"

"""A server's cloud: kept by the connection check, shown on its page, narrowing the list."""

from types import SimpleNamespace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from servers import checking, inventory
from servers.jobs import launch, runner
from servers.models import HostKey, Server
from servers.remote.facts import ServerFacts
from tests.factories import HostKeyFactory, ServerFactory
from tests.ports import free_port
from tests.remote.test_facts import stdout

pytestmark = pytest.mark.django_db
DROPLET = stdout({"dmi": "sys_vendor:DigitalOcean\n"})


def keep(server: Server, facts: ServerFacts | None) -> str:
    """The cloud of the row after a check that read these facts, or none."""
    found = checking.Found(SimpleNamespace(masked=str))
    if facts is not None:
        found.learn(facts)
    checking._keep(server, found)
    return Server.objects.get(pk=server.pk).cloud


def test_a_check_keeps_the_cloud_until_a_look_tells_otherwise():
    server = ServerFactory()
    assert keep(server, ServerFacts(cloud="hetzner")) == "hetzner"
    assert keep(server, None) == "hetzner"  # it did not answer: nobody has looked
    assert keep(server, ServerFacts()) == ""


def test_a_server_enrolled_before_clouds_were_known_is_placed_when_somebody_looks():
    server = ServerFactory()
    checking.learn_cloud(server, DROPLET)
    assert server.cloud == Server.objects.get(pk=server.pk).cloud == "digitalocean"


def test_what_a_check_found_stands():
    server = ServerFactory()
    keep(server, ServerFacts())
    checking.learn_cloud(Server.objects.get(pk=server.pk), DROPLET)
    assert Server.objects.get(pk=server.pk).cloud == ""


def test_a_server_that_moved_is_placed_anew():
    server = ServerFactory(address="192.0.2.1")
    keep(server, ServerFacts(cloud="hetzner"))
    moved = inventory.change(Server.objects.get(pk=server.pk), by=None, address="192.0.2.2")
    assert Server.objects.get(pk=server.pk).cloud == ""
    checking.learn_cloud(moved, DROPLET)
    assert Server.objects.get(pk=server.pk).cloud == "digitalocean"


def test_the_page_names_it_and_the_list_is_narrowed_by_it(viewer_client):
    there, elsewhere = ServerFactory(name="droplet", cloud="digitalocean"), ServerFactory(name="cellar")
    page = viewer_client.get(reverse("servers:server", args=[there.pk])).content.decode()
    assert "<dt>Cloud</dt><dd>DigitalOcean</dd>" in page
    assert "Cloud" not in viewer_client.get(reverse("servers:server", args=[elsewhere.pk])).content.decode()
    listed = viewer_client.get(reverse("servers:list"), {"cloud": "digitalocean"}).content.decode()
    assert "droplet" in listed and "cellar" not in listed and "Cloud: any" in listed


def test_without_a_known_cloud_there_is_no_menu_and_of_hidden_servers_none(viewer_client, customer_client):
    ServerFactory(cloud="")
    assert "Cloud: any" not in viewer_client.get(reverse("servers:list")).content.decode()
    ServerFactory(cloud="aws")
    assert "Amazon EC2" not in customer_client.get(reverse("servers:list")).content.decode()


def test_a_check_reads_the_pinned_keys_once():
    server = ServerFactory(address="127.0.0.1", port=free_port())
    HostKeyFactory(server=server, state=HostKey.State.PINNED)
    batch = launch.launch("server.check", [server], by=None)
    with CaptureQueriesContext(connection) as queries:
        job = runner.run_here(batch.jobs.get())
    assert job.cause == "tcp"
    assert sum('FROM "servers_hostkey"' in query["sql"] for query in queries) == 1

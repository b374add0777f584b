"""The life of a gateway on real servers."""

import pytest

from gateway.postfix.spec import Relay
from servers.remote.secret import Secret
from tests.fleet.fleet import ACCOUNT
from tests.gateway.postfix.hands import apply, look, observe, send

pytestmark = pytest.mark.fleet


def relay(**changes) -> Relay:
    values = {
        "host": "smtp.provider.test",
        "port": 587,
        "username": ACCOUNT.login,
        "password": Secret(ACCOUNT.password),
        "sending_domain": "example.org",
        "root_address": "admin@example.org",
    }
    return Relay(**{**values, **changes})


def test_install_delivers_and_a_second_plan_is_empty(each_server, provider):
    server = each_server
    done = apply(server, relay())
    assert not done.failed, done.output
    assert look(server, relay()).empty
    delivery = send(server, "app@example.org", "someone@elsewhere.test", token="install-0001")
    assert delivery.delivery == "sent", delivery
    assert delivery.provider_id and delivery.relay.startswith("smtp.provider.test[")
    server.run("echo cron | sendmail -i root")
    mails = provider.wait_for_messages(2)
    assert [str(mail["Delivered-To"]) for mail in mails] == ["someone@elsewhere.test", "admin@example.org"]
    assert "root@example.org" in str(mails[1]["From"])
    assert observe(server).listeners and not server.failed_units()


def test_uninstall_leaves_a_clean_server_as_it_was(each_server, provider):
    server = each_server
    listing = "dpkg --get-selections; find /etc -newer /etc/hostname -type f ! -name '*-' | sort; ls /var/lib /run/systemd"
    before = server.run(["dpkg-query", "-W"]).stdout
    etc = server.run("cd /etc; find . -type f ! -name '*-' ! -path './ssl/*' | sort").stdout
    assert listing
    assert not apply(server, relay()).failed
    done = apply(server, None)
    assert not done.failed, done.output
    assert server.run(["dpkg-query", "-W"]).stdout == before
    assert server.run("cd /etc; find . -type f ! -name '*-' ! -path './ssl/*' | sort").stdout == etc
    assert not server.exists("/var/lib/fleetpost/gateway")
    assert look(server, None).empty

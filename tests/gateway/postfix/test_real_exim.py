"""Another mail system is replaced only with consent, and comes back whole."""

import pytest

from servers.remote.secret import Secret
from tests.gateway.postfix.hands import apply, look, observe, relay, send

pytestmark = pytest.mark.fleet
PACKAGES = "dpkg-query -W -f '${Package} ${db:Status-Status}\\n'"
FILES = "cd /etc; find exim4 default/exim4 aliases mailname -type f -exec sha256sum {} +"


def test_exim_is_replaced_with_consent_and_put_back(each_server, provider):
    server = each_server
    server.install("exim4-daemon-light")
    server.run("echo '# mine' >> /etc/exim4/update-exim4.conf.conf; echo hi | sendmail -odq nobody@elsewhere.test")
    # Frozen, or exim delivers it as soon as it is back.
    server.run("cd /var/spool/exim4/input; exim4 -Mf $(ls | sed -n 's/-D$//p')")
    packages, files = server.run(PACKAGES).stdout, server.run(FILES).stdout
    queue = server.run("ls /var/spool/exim4/input").stdout
    refusal = look(server, relay()).refusals[0]
    assert refusal.cause == "other-mta" and "1 message" in refusal.what

    failed = apply(server, relay(password=Secret("wrong")), replace_mta=True)
    assert failed.failed == "probe"
    assert server.run(PACKAGES).stdout == packages and server.run(FILES).stdout == files
    assert server.run("systemctl is-active exim4").stdout.strip() == "active"
    assert not observe(server).record

    done = apply(server, relay(), replace_mta=True)
    assert not done.failed, done.output
    assert look(server, relay()).empty
    assert send(server, "app@example.org", "x@elsewhere.test", token="exim-0001").delivery == "sent"
    done = apply(server, None)
    assert not done.failed, done.output
    assert server.run(PACKAGES).stdout == packages and server.run(FILES).stdout == files
    assert server.run("ls /var/spool/exim4/input").stdout == queue
    assert server.run("systemctl is-active exim4").stdout.strip() == "active"

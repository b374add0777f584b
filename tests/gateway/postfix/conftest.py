"""Servers that several tests of a file share: each test leaves its server as it found it."""

import pytest

from tests.fleet.fixtures import chosen_distros
from tests.gateway.postfix.hands import apply, relay

CUSTOM = """# our mail server
compatibility_level = 3.5
myhostname = mx.customer.test
mydestination = customer.test,
  # the old name
  old.customer.test
inet_interfaces = all
relayhost = [old.relay.test]:25
smtp_tls_security_level=may
relayhost =
mailbox_size_limit = 123456789
smtp_generic_maps = texthash:/etc/postfix/generic
# the end, without a line break"""


@pytest.fixture(scope="module", params=chosen_distros())
def installed(request, pool, fleet):
    """A clean server with the gateway on it."""
    with pool.lend(request.param) as server:
        done = apply(server, relay())
        assert not done.failed, done.output
        yield server


@pytest.fixture(scope="module", params=chosen_distros())
def customised(request, pool, fleet):
    """A Postfix somebody set up by hand and that receives mail; no gateway."""
    with pool.lend(request.param) as server:
        server.run("echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections")
        server.install("postfix")
        server.write_file("/etc/postfix/main.cf", CUSTOM)
        server.write_file("/etc/postfix/generic", "")
        server.write_file("/etc/aliases", "root: local\n")
        server.run("useradd -m local; newaliases 2>/dev/null; systemctl restart postfix")
        yield server

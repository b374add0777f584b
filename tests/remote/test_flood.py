"""A server that never stops printing costs its own slot, and that only for a time."""

import time

import pytest

from servers.remote import keypair, ssh
from servers.remote.errors import Deadline
from servers.remote.host import Limits, Login, PinnedKey
from tests.fakefleet import PIN, Fleet


def test_a_server_that_floods_every_command_is_left_after_its_time(monkeypatch):
    """The command that ends the first one floods as well: it must not be ended by a third."""
    short = Limits(total=0.5, idle=0.5, output=4096)
    monkeypatch.setattr(ssh, "TIDY", short)
    private, _ = keypair.generate("test")
    with Fleet(flood=1) as fleet:
        (server,) = fleet.servers
        pins = (PinnedKey("ssh-ed25519", PIN),)
        login = Login(address=server.address, port=server.port, user="root", pinned=pins, private_key=private)
        began = time.monotonic()
        with ssh.connect(login) as host, pytest.raises(Deadline):
            host.run("true", limits=Limits(total=0.5, idle=0.5, output=4096))
        assert time.monotonic() - began < 8
        assert fleet.ledger()[0]["visits"] == 2


def test_a_server_that_never_ends_a_change_of_keys_is_left_after_its_time():
    """Until the change has ended nothing can be sent, not even that the channel is closed; paramiko raises its own."""
    private, _ = keypair.generate("test")
    with Fleet(strand=1) as fleet:
        (server,) = fleet.servers
        pins = (PinnedKey("ssh-ed25519", PIN),)
        login = Login(address=server.address, port=server.port, user="root", pinned=pins, private_key=private)
        with ssh.connect(login) as host:
            host._transport.clear_to_send_timeout = 0.2
            with pytest.raises(Deadline):
                host.run("true", limits=Limits(total=1.0, idle=1.0))

"""The fleet's servers as rows of the panel."""

from servers.models import HostKey, Server, SshKey
from servers.remote import keypair
from tests.fakefleet import PIN, Fleet


def enrol(fleet: Fleet) -> list[Server]:
    """Their keys are pinned, as after a person accepted them; the panel signs in with a key of its own."""
    private, public = keypair.generate("fakefleet")
    key, _ = SshKey.objects.get_or_create(name="fakefleet", defaults={"public": public, "private": private})
    known = Server.objects.count()
    servers = Server.objects.bulk_create(
        Server(name=f"s{known + number:05}-{fake.kind}", address=fake.address, port=fake.port, ssh_key=key)
        for number, fake in enumerate(fleet.servers)
    )
    fingerprint = keypair.fingerprint(PIN)
    HostKey.objects.bulk_create(
        HostKey(server=server, kind="ssh-ed25519", body=PIN, fingerprint=fingerprint, state=HostKey.State.PINNED)
        for server in servers
    )
    return servers

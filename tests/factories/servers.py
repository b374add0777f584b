import base64
import hashlib

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from servers.models import HostKey, Server, SshKey, Tag
from servers.remote.secret import Secret


class TagFactory(DjangoModelFactory):
    class Meta:
        model = Tag
        django_get_or_create = ("name",)

    name = factory.Sequence(lambda n: f"tag{n}")


class SshKeyFactory(DjangoModelFactory):
    class Meta:
        model = SshKey

    name = factory.Sequence(lambda n: f"key {n}")
    public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDpfE7Wf0J2yI3zcXy0rX9l0v5y6Xm1JmQ2d9h6wq4aB fleetpost"
    private = factory.Sequence(lambda n: Secret(f"-----BEGIN OPENSSH PRIVATE KEY-----\ncanary-key-body-{n}\n"))


class ServerFactory(DjangoModelFactory):
    """A server signed in to with a key. `tags=["web", "shop"]` and `people=[user]` attach rows;
    `pinned=True` gives it an accepted host key."""

    class Meta:
        model = Server
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"web-{n}")
    address = factory.LazyAttribute(lambda server: f"{server.name}.example.com")
    ssh_key = factory.SubFactory(SshKeyFactory)

    class Params:
        archived = factory.Trait(archived_at=factory.LazyFunction(timezone.now))
        by_password = factory.Trait(
            sign_in=Server.SignIn.PASSWORD, ssh_key=None, password=Secret("canary-server-password")
        )

    @factory.post_generation
    def tags(self, create, extracted, **kwargs):
        if create and extracted:
            self.tags.set([TagFactory(name=name) for name in extracted])

    @factory.post_generation
    def people(self, create, extracted, **kwargs):
        if create and extracted:
            self.people.set(extracted)

    @factory.post_generation
    def pinned(self, create, extracted, **kwargs):
        if create and extracted:
            HostKeyFactory(server=self, state=HostKey.State.PINNED)


class HostKeyFactory(DjangoModelFactory):
    class Meta:
        model = HostKey

    server = factory.SubFactory(ServerFactory)
    kind = "ssh-ed25519"
    body = factory.Sequence(lambda n: base64.b64encode(b"host key %d" % n).decode())
    fingerprint = factory.LazyAttribute(
        lambda key: (
            "SHA256:" + base64.b64encode(hashlib.sha256(base64.b64decode(key.body)).digest()).decode().rstrip("=")
        )
    )

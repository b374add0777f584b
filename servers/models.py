"""Machines and how they are reached."""

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from controlpanel.access.models import Role, User
from servers import validators
from servers.fields import SecretField
from servers.remote import cloud as clouds
from servers.remote.host import Login, PinnedKey, RemoteError

MAX_JUMPS = 4


class Blocked(RemoteError):
    """The server's host key changed and nobody has accepted the new one yet."""

    cause = "host-key-changed"
    hint = "Compare the fingerprint on the server, then accept or refuse the new key on the server's page."


class TooManyJumps(RemoteError):
    """The chain of jump servers is too long or leads back to itself."""

    cause = "jump-loop"
    hint = "Choose another jump server on the server's Settings tab."


class Tag(models.Model):
    name = models.CharField(max_length=40, unique=True, validators=[validators.tag])

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class SshKey(models.Model):
    """A key pair the panel signs in with. The private half is sealed; the public half is shown for pasting."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80, unique=True, validators=[validators.key_name])
    public = models.TextField()
    private = SecretField()
    is_default = models.BooleanField(default=False)  # the panel's own pair
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["is_default"], condition=Q(is_default=True), name="one_default_ssh_key")
        ]

    def __str__(self) -> str:
        return self.name


def sees_all(user: User) -> bool:
    """Whether no server is hidden from this person, so that a query about jobs need not ask for the servers."""
    return user.is_active and user.role != Role.CUSTOMER


class ServerQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> "ServerQuerySet":
        if not user.is_active:
            return self.none()
        return self if sees_all(user) else self.filter(people=user)

    def live(self) -> "ServerQuerySet":
        return self.filter(archived_at__isnull=True)


class Server(models.Model):
    class SignIn(models.TextChoices):
        KEY = "key", "SSH key"
        PASSWORD = "password", "Password"

    class Sudo(models.TextChoices):
        NONE = "none", "Signs in as root"
        NOPASSWD = "nopasswd", "sudo without a password"
        PASSWORD = "password", "sudo with a password"

    class Reach(models.TextChoices):
        UNKNOWN = "unknown", "Not checked yet"
        OK = "ok", "Reachable"
        FAILED = "failed", "Check failed"
        KEY_OFFERED = "key-offered", "Host key to accept"
        KEY_CHANGED = "key-changed", "Host key changed"

    # a person has to do something before the panel can work there
    TROUBLE = (Reach.FAILED, Reach.KEY_OFFERED, Reach.KEY_CHANGED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, validators=[validators.server_name])
    address = models.CharField(max_length=253, validators=[validators.address])
    port = models.PositiveIntegerField(default=22, validators=[validators.port])
    user = models.CharField("user name", max_length=32, default="root", validators=[validators.posix_user])
    sign_in = models.CharField(max_length=10, choices=SignIn, default=SignIn.KEY)
    ssh_key = models.ForeignKey(SshKey, null=True, blank=True, on_delete=models.PROTECT)
    password = SecretField()
    sudo = models.CharField(max_length=10, choices=Sudo, default=Sudo.NONE)
    sudo_password = SecretField()
    jump = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="reached_through")
    tags = models.ManyToManyField(Tag, blank=True, related_name="servers")
    people = models.ManyToManyField(User, blank=True, related_name="servers")
    note = models.TextField(blank=True, max_length=2000, validators=[validators.note])
    cloud = models.CharField(max_length=20, blank=True, db_index=True, editable=False)  # slug; "" unknown
    reach = models.CharField(max_length=12, choices=Reach, default=Reach.UNKNOWN)
    checked_at = models.DateTimeField(null=True, blank=True)
    misses = models.PositiveSmallIntegerField(default=0, editable=False)  # regular looks in a row without an answer
    missed_since = models.DateTimeField(null=True, blank=True, editable=False)  # the first of them
    findings = models.JSONField(
        default=dict, blank=True
    )  # the last connection check: {"stages": [...], "facts": {...}}
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = ServerQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"), name="one_server_name", violation_error_message="There is a server with this name."
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def in_trouble(self) -> bool:
        return self.reach in self.TROUBLE

    @property
    def cloud_label(self) -> str:
        return clouds.label(self.cloud)

    def login(self, jumps: int = MAX_JUMPS) -> Login:
        """What the wire needs. Raises Blocked while a changed host key waits for a person, here or on the way."""
        if self.reach == self.Reach.KEY_CHANGED:
            raise Blocked(f"{self.name}: the host key changed and nobody has accepted the new one yet.")
        if self.jump and not jumps:
            raise TooManyJumps
        by_key = self.sign_in == self.SignIn.KEY
        return Login(
            address=self.address,
            port=self.port,
            user=self.user,
            pinned=tuple(k.pin() for k in self.host_keys.all() if k.state == HostKey.State.PINNED),
            private_key=self.ssh_key.private if by_key and self.ssh_key else None,
            password=None if by_key else self.password,
            sudo=self.sudo,
            sudo_password=self.sudo_password or (None if by_key else self.password),
            jump=self.jump.login(jumps - 1) if self.jump else None,
        )


class SavedFilter(models.Model):
    """A search of the server list that somebody keeps under a name. Everybody has their own."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saved_filters")
    name = models.CharField(max_length=60, validators=[validators.filter_name])
    query = models.CharField(max_length=500)  # of the list's address: "q=web&state=needs-you"

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="one_saved_filter_per_name")]

    def __str__(self) -> str:
        return self.name


class HostKey(models.Model):
    """A host key seen at a server. Only a person makes `offered` into `pinned`."""

    class State(models.TextChoices):
        OFFERED = "offered", "Waiting for a person"
        PINNED = "pinned", "Accepted"
        RETIRED = "retired", "No longer used"

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="host_keys")
    kind = models.CharField(max_length=40)
    body = models.TextField()
    fingerprint = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State, default=State.OFFERED)
    seen_at = models.DateTimeField(auto_now_add=True)
    accepted_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL)
    accepted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["server", "body"], name="one_row_per_host_key"),
            models.UniqueConstraint(fields=["server", "kind"], condition=Q(state="pinned"), name="one_pin_per_kind"),
        ]

    def pin(self) -> PinnedKey:
        return PinnedKey(kind=self.kind, body=self.body)

"""The upstream servers mail goes to (smarthosts) and the relay set-up of each server (gateway)."""

import uuid

from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q
from django.db.models.functions import Lower

from gateway import validators
from servers.fields import SecretField
from servers.jobs.models import LIVE, Job
from servers.models import Server
from servers.validators import plain_text
from servers.validators import port as valid_port


class Tls(models.TextChoices):
    STARTTLS = "starttls", "STARTTLS"
    IMPLICIT = "implicit", "TLS from the first byte"
    NONE = "none", "None: mail travels in the clear"


class SmarthostQuerySet(models.QuerySet):
    def shared(self) -> "SmarthostQuerySet":
        return self.filter(server__isnull=True)

    def default(self) -> "Smarthost | None":
        return self.filter(is_default=True).first()

    def with_use(self) -> "SmarthostQuerySet":
        """Adds `servers`: how many gateways want it or run on it."""
        used = Count("wanted_by", distinct=True)
        outgoing = Count("applied_by", distinct=True, filter=~Q(applied_by__wanted=F("pk")))
        return self.annotate(servers=used + outgoing).order_by(Lower("name"))

    def unused(self) -> "SmarthostQuerySet":
        return self.filter(wanted_by__isnull=True, applied_by__isnull=True)


class Smarthost(models.Model):
    """An SMTP provider account. `server` set: the row belongs to that server's form alone and is never edited, only
    replaced, so a gateway always knows the exact values it was built from. A shared row counts its changes in
    `revision` for the same reason."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80, validators=[validators.line])
    server = models.ForeignKey(Server, null=True, blank=True, on_delete=models.CASCADE, related_name="own_smarthosts")
    preset = models.CharField(max_length=40, default="generic", validators=[validators.preset])
    region = models.CharField(max_length=40, blank=True, validators=[validators.region])
    host = models.CharField("server", max_length=253, validators=[validators.host_name])
    port = models.PositiveIntegerField(default=587, validators=[valid_port])
    tls = models.CharField("encryption", max_length=10, choices=Tls, default=Tls.STARTTLS)
    verify_certificate = models.BooleanField("check the certificate", default=True)
    username = models.CharField("user name", max_length=320, blank=True, validators=[validators.username])
    password = SecretField()
    sending_domain = models.CharField(max_length=253, blank=True, validators=[validators.domain])
    helo_name = models.CharField("HELO name", max_length=253, blank=True, validators=[validators.helo_name])
    root_address = models.CharField("mail for root goes to", max_length=254, blank=True, validators=[validators.email])
    note = models.TextField(blank=True, max_length=2000, validators=[plain_text])
    is_default = models.BooleanField(default=False)
    # own values that carry a shared provider's password: what is in them is for administrators only
    confidential = models.BooleanField(default=False, editable=False)
    revision = models.PositiveIntegerField(default=1, editable=False)
    # The password before the last change of it, kept until no gateway runs on it and nobody may want it back.
    previous_password = SecretField()
    previous_revision = models.PositiveIntegerField(null=True, blank=True, editable=False)
    rotated_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    objects = SmarthostQuerySet.as_manager()

    class Meta:
        verbose_name = "SMTP provider"
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=Q(server__isnull=True),
                name="one_shared_name",
                violation_error_message="Another SMTP provider has this name.",
            ),
            models.UniqueConstraint(fields=["is_default"], condition=Q(is_default=True), name="one_default_smarthost"),
            models.CheckConstraint(
                condition=Q(is_default=False) | Q(server__isnull=True), name="a_default_smarthost_is_shared"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def has_password(self) -> bool:
        """Without opening the seal."""
        return bool(self.__dict__.get("password"))


class GatewayQuerySet(models.QuerySet):
    def of(self, server: Server) -> "Gateway":
        """The server's gateway, or an unsaved one that says "not installed"."""
        found = self.select_related("wanted", "applied").filter(server=server).first()
        return found or Gateway(server=server)

    def with_live_job(self) -> "GatewayQuerySet":
        """Adds `live`: a job that changes or checks this gateway is queued or running."""
        return self.annotate(live=Gateway.live_jobs("server"))


class Gateway(models.Model):
    """`wanted`: what a person asked for. `applied`: what the last look at the server proved to be in force."""

    class State(models.TextChoices):
        ABSENT = "absent", "Not installed"
        WORKING = "working", "Working"
        BROKEN = "broken", "Needs you"
        DRIFTED = "drifted", "Changed on the server"
        UNKNOWN = "unknown", "Unknown"

    # RESTRICT, not PROTECT: deleting a server deletes its gateway and its own rows together.
    server = models.OneToOneField(Server, primary_key=True, on_delete=models.CASCADE, related_name="gateway")
    wanted = models.ForeignKey(Smarthost, null=True, blank=True, on_delete=models.RESTRICT, related_name="wanted_by")
    applied = models.ForeignKey(Smarthost, null=True, blank=True, on_delete=models.RESTRICT, related_name="applied_by")
    applied_revision = models.PositiveIntegerField(default=1)  # of `applied`, when it was proved
    state = models.CharField(max_length=10, choices=State, default=State.ABSENT)
    reason = models.TextField(blank=True)  # one sentence when the state is broken or unknown
    in_doubt = models.BooleanField(default=False)  # a change was handed to the server, and no look has followed it yet
    generation = models.CharField(max_length=32, blank=True)  # name of the maps directory in force
    queued = models.PositiveIntegerField(default=0)
    installed_at = models.DateTimeField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    last_test = models.JSONField(default=dict, blank=True)  # {"at", "delivery", "reply", "seconds", "job"}
    observed = models.JSONField(default=dict, blank=True)  # {"os", "postfix", "log_source"} at the last look

    objects = GatewayQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Email gateway of {self.server}"

    @staticmethod
    def live_jobs(server: str) -> Exists:
        """Condition: the server, found in the outer query's column of this name, has such a job."""
        kinds = Q(mutating=True) | Q(action="gateway.check")
        jobs = Job.objects.filter(kinds, server=OuterRef(server), status__in=LIVE, action__startswith="gateway.")
        return Exists(jobs)

    @property
    def installed(self) -> bool:
        return self.applied_id is not None

    @property
    def pending(self) -> bool:
        """Values were saved that no look at the server has proved to be in force."""
        if self.wanted is None:
            return False
        return self.wanted_id != self.applied_id or self.wanted.revision != self.applied_revision


class TestEmail(models.Model):
    """How one test email ended. Written once, never changed; charts and the table of providers read it."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="test_emails")
    smarthost = models.ForeignKey(Smarthost, null=True, on_delete=models.SET_NULL, related_name="test_emails")
    job = models.OneToOneField(Job, null=True, on_delete=models.SET_NULL, related_name="test_email")
    at = models.DateTimeField(db_index=True)
    delivery = models.CharField(max_length=10)  # sent | deferred | bounced | queued
    reply = models.TextField(blank=True)  # the provider's own words
    cause = models.CharField(max_length=60, blank=True)
    seconds = models.FloatField(null=True)

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["server", "-at"])]

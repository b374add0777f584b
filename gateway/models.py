"""The upstream servers mail goes to (smarthosts) and the relay set-up of each server (gateway)."""

import uuid

from django.db import models
from django.db.models import Q

from gateway import validators
from servers.fields import SecretField
from servers.models import Server
from servers.validators import plain_text
from servers.validators import port as valid_port


class Tls(models.TextChoices):
    STARTTLS = "starttls", "STARTTLS (port 587)"
    IMPLICIT = "implicit", "TLS from the first byte (port 465)"
    NONE = "none", "None: mail travels in the clear"


class Smarthost(models.Model):
    """An SMTP provider account. `server` set: the row belongs to that server's form alone and is never edited, only
    replaced, so a gateway always knows the exact values it was built from."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80)
    server = models.ForeignKey(Server, null=True, blank=True, on_delete=models.CASCADE, related_name="own_smarthosts")
    preset = models.CharField(max_length=40, default="generic")
    region = models.CharField(max_length=40, blank=True)
    host = models.CharField("server", max_length=253, validators=[validators.host_name])
    port = models.PositiveIntegerField(default=587, validators=[valid_port])
    tls = models.CharField("encryption", max_length=10, choices=Tls, default=Tls.STARTTLS)
    verify_certificate = models.BooleanField("check the certificate", default=True)
    username = models.CharField("user name", max_length=320, blank=True, validators=[validators.username])
    password = SecretField()
    sending_domain = models.CharField(max_length=253, blank=True, validators=[validators.domain])
    helo_name = models.CharField("HELO name", max_length=253, blank=True, validators=[validators.host_name])
    root_address = models.EmailField("mail for root goes to", blank=True, validators=[validators.email])
    note = models.TextField(blank=True, max_length=2000, validators=[plain_text])
    is_default = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=Q(server__isnull=True), name="one_shared_name"),
            models.UniqueConstraint(fields=["is_default"], condition=Q(is_default=True), name="one_default_smarthost"),
        ]

    def __str__(self) -> str:
        return self.name


class Gateway(models.Model):
    """`wanted`: what a person asked for. `applied`: what the last look at the server proved to be in force."""

    class State(models.TextChoices):
        ABSENT = "absent", "Not installed"
        WORKING = "working", "Working"
        BROKEN = "broken", "Needs you"
        UNKNOWN = "unknown", "Unknown"

    server = models.OneToOneField(Server, primary_key=True, on_delete=models.CASCADE, related_name="gateway")
    wanted = models.ForeignKey(Smarthost, null=True, blank=True, on_delete=models.PROTECT, related_name="wanted_by")
    applied = models.ForeignKey(Smarthost, null=True, blank=True, on_delete=models.PROTECT, related_name="applied_by")
    state = models.CharField(max_length=10, choices=State, default=State.ABSENT)
    reason = models.TextField(blank=True)  # one sentence when the state is broken or unknown
    generation = models.CharField(max_length=32, blank=True)  # name of the maps directory in force
    queued = models.PositiveIntegerField(default=0)
    installed_at = models.DateTimeField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    last_test = models.JSONField(default=dict, blank=True)  # {"at", "delivery", "reply", "job"}
    observed = models.JSONField(default=dict, blank=True)

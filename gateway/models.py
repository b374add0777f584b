"""The upstream servers mail goes to (smarthosts) and the relay set-up of each server (gateway)."""

import uuid
from datetime import timedelta

from django.db import models
from django.db.models import Case, Count, Exists, F, Func, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Lower, TruncDate
from django.utils import timezone

from controlpanel.access.gate import Permission, may
from controlpanel.access.models import User
from gateway import validators
from servers.fields import SecretField
from servers.jobs.models import LIVE, Job, Status
from servers.models import Server, sees_all
from servers.validators import plain_text
from servers.validators import port as valid_port


class Tls(models.TextChoices):
    STARTTLS = "starttls", "STARTTLS"
    IMPLICIT = "implicit", "TLS from the first byte"
    NONE = "none", "None: mail travels in the clear"


def _count(rows: models.QuerySet) -> Subquery:
    return Subquery(
        rows.order_by().annotate(count=Func(F("pk"), function="COUNT")).values("count"), models.IntegerField()
    )


class SmarthostQuerySet(models.QuerySet):
    def shared(self) -> "SmarthostQuerySet":
        return self.filter(server__isnull=True)

    def default(self) -> "Smarthost | None":
        return self.filter(is_default=True).first()

    def with_use(self) -> "SmarthostQuerySet":
        """Adds `servers`: how many gateways want it or run on it, and `earlier`: those last proved on another password
        of it than the present one."""
        # Subqueries: joined to both, every gateway that wants it would meet every gateway that runs on it.
        using = Gateway.objects.filter(Q(wanted=OuterRef("pk")) | Q(applied=OuterRef("pk")))
        other = Gateway.objects.filter(applied=OuterRef("pk"), server__archived_at__isnull=True).on_earlier_password()
        return self.annotate(servers=_count(using), earlier=_count(other)).order_by(Lower("name"))

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
    password_revision = models.PositiveIntegerField(default=1, editable=False)  # the one the present password came with
    # The sign-in before the last change of it, kept until no gateway runs on it and nobody may want it back.
    previous_password = SecretField()
    previous_username = models.CharField(max_length=320, blank=True, editable=False)
    previous_password_revision = models.PositiveIntegerField(null=True, blank=True, editable=False)
    # a gateway of this revision is what the previous sign-in would make of it; null: other values changed since
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

    @property
    def keeps_previous(self) -> bool:
        """Whether the password before the last change of it is still there, without opening the seal."""
        return bool(self.__dict__.get("previous_password"))


class GatewayQuerySet(models.QuerySet):
    def of(self, server: Server) -> "Gateway":
        """The server's gateway, or an unsaved one that says "not installed"."""
        found = self.select_related("wanted", "applied").filter(server=server).first()
        return found or Gateway(server=server)

    def through(self, smarthost: Smarthost) -> "GatewayQuerySet":
        """Those that want it or run on it, as `with_use` counts them."""
        return self.filter(Q(wanted=smarthost) | Q(applied=smarthost))

    def on_earlier_password(self) -> "GatewayQuerySet":
        """Those whose server was last proved to run on another password than the provider's row has now."""
        return self.filter(applied__isnull=False).exclude(applied_password_revision=F("applied__password_revision"))

    def behind(self) -> "GatewayQuerySet":
        """Those in force whose server may run on other values of the provider than its row has now."""
        older = Q(applied_revision__lt=F("applied__revision")) | Q(in_doubt=True)
        return self.filter(older, applied=F("wanted"))

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
    applied_password_revision = models.PositiveIntegerField(default=1)  # likewise
    # likewise: the divisor (providers.limits.Share) of the account's limits in its main.cf; 0: Postfix was told none
    applied_share = models.PositiveIntegerField(default=0)
    # what a person adopted: parameter of ours -> the value found there that stays instead, None where it stays away
    kept = models.JSONField(default=dict, blank=True)
    # the account, from this server: when a regular look last took its turn to try it, whatever came of that, and until
    # when the certificate it saw then is valid; None where nothing was seen of the values in force
    signed_in_at = models.DateTimeField(null=True, blank=True)
    certificate_until = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.ABSENT)
    reason = models.TextField(blank=True)  # one sentence when the state is broken or unknown
    in_doubt = models.BooleanField(default=False)  # a change was handed to the server, and no look has followed it yet
    generation = models.CharField(max_length=32, blank=True)  # name of the maps directory in force
    queued = models.PositiveIntegerField(default=0)
    installed_at = models.DateTimeField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    last_test = models.JSONField(default=dict, blank=True)  # {"at", "delivery", "reply", "seconds", "job"}
    observed = models.JSONField(default=dict, blank=True)  # {"os", "postfix", "log_source"} at the last look
    seen_at = models.DateTimeField(null=True, blank=True)  # when the server last answered a look
    # when the next regular look begins; while one is under way, when its lease ends
    look_due_at = models.DateTimeField(null=True, blank=True, db_index=True, editable=False)
    oldest_at = models.DateTimeField(null=True, blank=True)  # arrival of the oldest message that waits
    problems = models.JSONField(default=list, blank=True)  # findings of gateway.drift that are not ok
    # path -> unified diff, from what is there to what we want there; drift.CHANGES -> {parameter: [there, ours]}
    diffs = models.JSONField(default=dict, blank=True)

    objects = GatewayQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Email gateway of {self.server}"

    @staticmethod
    def at_work() -> models.QuerySet:
        """Jobs that change or check a gateway and run or are next: one kept for tonight leaves the state as it is."""
        kinds = Q(mutating=True) | Q(action="gateway.check")
        begun = ~Q(status=Status.QUEUED) | Q(released_at__isnull=False)
        return Job.objects.filter(kinds, begun, status__in=LIVE, action__startswith="gateway.")

    @staticmethod
    def live_jobs(server: str) -> Exists:
        """Condition: the server, found in the outer query's column of this name, has such a job."""
        return Exists(Gateway.at_work().filter(server=OuterRef(server)))

    @property
    def installed(self) -> bool:
        return self.applied_id is not None

    def runs_on(self, smarthost: Smarthost, revision: int) -> bool:
        """Whether these values are what was last proved to be in force."""
        return (self.applied_id, self.applied_revision) == (smarthost.pk, revision)

    @property
    def pending(self) -> bool:
        """Values were saved that no look at the server has proved to be in force."""
        if self.wanted is None:
            return False
        return self.wanted_id != self.applied_id or self.wanted.revision != self.applied_revision


class PresetOverride(models.Model):
    """What this organisation knows better than the preset that came with the panel. `changes`: field -> value, only
    those that differ, as `gateway.overrides` writes them."""

    preset = models.CharField(primary_key=True, max_length=40, validators=[validators.preset])
    changes = models.JSONField(default=dict)
    note = models.TextField(blank=True, max_length=2000, validators=[plain_text])
    changed_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL)
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"Override of {self.preset}"


class TestEmailQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> "TestEmailQuerySet":
        return self if sees_all(user) else self.filter(server__in=Server.objects.visible_to(user))

    def by_day(self, user: User, days: int) -> list[dict]:
        """[{"day", "smarthost", "delivery", "count"}] of the last `days` days, today included, oldest first; one query.

        smarthost: the id of a shared provider; None for own values of servers, for a deleted provider, and for whoever
        may not choose shared ones by their name."""
        first = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days - 1)
        shared = Case(When(smarthost__server__isnull=True, then=F("smarthost_id")), default=None)
        known = shared if may(user, Permission.USE_SHARED) else Value(None, output_field=models.UUIDField())
        rows = self.visible_to(user).filter(at__gte=first).order_by()
        named = rows.annotate(day=TruncDate("at"), provider=known).values("day", "provider", "delivery")
        counted = named.annotate(count=Count("pk")).order_by("day", "provider", "delivery")
        names = {"day": "day", "smarthost": "provider", "delivery": "delivery", "count": "count"}
        return [{name: row[key] for name, key in names.items()} for row in counted]

    def in_batch(self, batch: int) -> list[dict]:
        """[{"server", "job", "delivery", "reply", "cause", "seconds"}], one a server, in one query. Replies name
        providers: doors show them with Discretion."""
        rows = self.filter(job__batch=batch).order_by("server__name")
        columns = {"server": "server_id", "job": "job_id"} | {n: n for n in ("delivery", "reply", "cause", "seconds")}
        return [dict(zip(columns, row, strict=True)) for row in rows.values_list(*columns.values())]


class TestEmail(models.Model):
    """How one test email ended. Written once, never changed; charts and the table of providers read it."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="test_emails")
    smarthost = models.ForeignKey(Smarthost, null=True, on_delete=models.SET_NULL, related_name="test_emails")
    job = models.OneToOneField(Job, null=True, on_delete=models.SET_NULL, related_name="test_email")
    at = models.DateTimeField(db_index=True)
    delivery = models.CharField(max_length=10)  # sent | deferred | bounced | queued
    reply = models.TextField(blank=True)  # the provider's own words
    cause = models.CharField(max_length=60, blank=True)
    seconds = models.FloatField(null=True)

    objects = TestEmailQuerySet.as_manager()

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["server", "-at"])]

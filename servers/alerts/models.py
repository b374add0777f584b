"""What is wrong (alerts and the troubles they gather), who is told (routes), and how the telling went (deliveries)."""

import uuid

from django.db import models
from django.db.models import Case, Count, Q, When

from controlpanel.access.models import User
from servers.alerts import kinds
from servers.fields import SecretField
from servers.models import Server, sees_all
from servers.validators import plain_text


class AlertQuerySet(models.QuerySet):
    def open(self) -> "AlertQuerySet":
        return self.filter(closed_at__isnull=True)

    def visible_to(self, user: User) -> "AlertQuerySet":
        """Those about a server this person sees; what concerns no server is for people who see all of them."""
        if sees_all(user):
            return self
        return self.filter(pk__in=Trouble.objects.visible_to(user).order_by().values("alert"))

    def worst_first(self) -> "AlertQuerySet":
        """Serious ones before warnings, the newest first among each."""
        mild = Case(When(kind__in=kinds.WARNINGS, then=1), default=0)
        return self.order_by(mild, "-opened_at", "-pk")

    def with_counts(self, user: User) -> "AlertQuerySet":
        """Adds `count`: the troubles of it this person may see, and `still`: those that are open."""
        mine = Q() if sees_all(user) else Q(troubles__server__in=Server.objects.visible_to(user))
        still = Count("troubles", filter=mine & Q(troubles__closed_at__isnull=True))
        return self.annotate(count=Count("troubles", filter=mine), still=still)


class Alert(models.Model):
    """One cause. Open until the last of its troubles recovers. `told_count`: how many troubles the routes heard of."""

    kind = models.CharField(max_length=40)
    key = models.CharField(max_length=64)  # of the cause: servers failing for it are one alert
    cause = models.CharField(max_length=200, blank=True)
    provider = models.CharField(max_length=80, blank=True)  # name of a shared SMTP provider in the texts
    text = models.TextField()
    hint = models.TextField(blank=True)
    url = models.CharField(max_length=300, blank=True)  # a page of the panel where it is mended
    # told only over routes that hear of failed test emails from this many on; null: over all
    failed_tests = models.PositiveIntegerField(null=True, blank=True)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True, db_index=True)
    told_at = models.DateTimeField(null=True, blank=True)
    told_count = models.PositiveIntegerField(default=0)
    settled = models.BooleanField(default=False)  # closed, and nothing is left to tell

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["-opened_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "key"], condition=Q(closed_at__isnull=True), name="one_open_alert")
        ]

    def __str__(self) -> str:
        return self.text

    @property
    def label(self) -> str:
        return kinds.of(self.kind).label

    @property
    def severity(self) -> int:
        return kinds.of(self.kind).severity


class TroubleQuerySet(models.QuerySet):
    def open(self) -> "TroubleQuerySet":
        return self.filter(closed_at__isnull=True)

    def visible_to(self, user: User) -> "TroubleQuerySet":
        return self if sees_all(user) else self.filter(server__in=Server.objects.visible_to(user))


class Trouble(models.Model):
    """One subject (a server, a batch) for which the alert's cause holds, from `opened_at` to `closed_at`."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="troubles")
    kind = models.CharField(max_length=40)
    subject = models.CharField(max_length=64)
    server = models.ForeignKey(Server, null=True, blank=True, on_delete=models.CASCADE, related_name="troubles")
    text = models.TextField()
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    objects = TroubleQuerySet.as_manager()

    class Meta:
        ordering = ["opened_at", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"], condition=Q(closed_at__isnull=True), name="one_open_trouble"
            )
        ]

    def __str__(self) -> str:
        return self.text


class RouteQuerySet(models.QuerySet):
    def limits(self) -> list[int]:
        """The numbers of failed test emails that routes in use have of their own."""
        return list(self.filter(active=True, failed_tests__isnull=False).values_list("failed_tests", flat=True))

    def hearing(self, alert: Alert) -> "RouteQuerySet":
        """Those in use that are told of this alert."""
        rows = self.filter(active=True, severity__lte=alert.severity)
        if alert.failed_tests is None:
            return rows
        own = Q(failed_tests=alert.failed_tests)
        general = Limits.current().failed_tests == alert.failed_tests
        return rows.filter(own | Q(failed_tests__isnull=True)) if general else rows.filter(own)


class Route(models.Model):
    """A way to tell people. What lets somebody in (a webhook's secret, a chat address with its token) is sealed."""

    class Way(models.TextChoices):
        EMAIL = "email", "E-mail"
        WEBHOOK = "webhook", "Webhook"
        CHAT = "chat", "Chat service"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=60, unique=True, validators=[plain_text])
    way = models.CharField(max_length=10, choices=Way)
    active = models.BooleanField("in use", default=True)
    severity = models.PositiveSmallIntegerField("tells", choices=kinds.SEVERITIES, default=kinds.WARNING)
    failed_tests = models.PositiveIntegerField("failed test emails in an hour", null=True, blank=True)
    quiet_from = models.TimeField("quiet from", null=True, blank=True)
    quiet_until = models.TimeField("quiet until", null=True, blank=True)
    zone = models.CharField("time zone", max_length=60, default="UTC")
    allow_local = models.BooleanField("allow addresses inside this network", default=False)
    # e-mail
    recipients = models.TextField(blank=True, max_length=2000)
    sender = models.CharField(max_length=254, blank=True)
    provider = models.UUIDField(null=True, blank=True)
    fallback = models.UUIDField(null=True, blank=True)
    # webhook
    address = models.CharField(max_length=500, blank=True)
    secret = SecretField()
    # chat service
    target = SecretField()
    created_at = models.DateTimeField(auto_now_add=True)

    objects = RouteQuerySet.as_manager()

    class Meta:
        verbose_name = "alert route"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One telling over one route. `answer`: the remote's own words."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"
        SKIPPED = "skipped", "Not needed"

    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="deliveries")
    alert = models.ForeignKey(Alert, null=True, blank=True, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=10)  # opened | more | closed | test
    count = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    at = models.DateTimeField(null=True, blank=True)  # of the last attempt
    answer = models.TextField(blank=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["state", "due_at"])]

    def __str__(self) -> str:
        return f"{self.event} over {self.route}"


class Limits(models.Model):
    """One row: from when on something is worth telling."""

    failed_tests = models.PositiveIntegerField("failed test emails in an hour", default=5)
    worker_minutes = models.PositiveIntegerField("minutes without a worker", default=5)

    def __str__(self) -> str:
        return "limits"

    @classmethod
    def current(cls) -> "Limits":
        return cls.objects.filter(pk=1).first() or cls(pk=1)

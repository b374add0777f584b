"""Sending domains and what DNS said about them."""

from django.db import models
from django.db.models import F, Q

from controlpanel.access.gate import Permission, may
from controlpanel.access.models import User
from gateway import validators
from gateway.deliverability.findings import ASIDE, FAIL, UNKNOWN, WARN
from gateway.models import Smarthost
from servers.models import Server, sees_all


class State(models.TextChoices):
    OK = "ok", "OK"
    WARN = "warn", "Warning"
    FAIL = "fail", "Failed"
    UNKNOWN = "unknown", "Unknown"


def in_use() -> models.QuerySet:
    """Accounts that name a sending domain, those of archived servers left out."""
    return Smarthost.objects.exclude(sending_domain="").exclude(server__archived_at__isnull=False)


def knows_all(user: User) -> bool:
    """Whether this person may know every provider and server. To others a domain's history is not told: other accounts
    may have sent for it before."""
    return may(user, Permission.USE_SHARED) and sees_all(user)


class DomainQuerySet(models.QuerySet):
    def listed(self) -> "DomainQuerySet":
        """Those that an account sends for, and those a person added."""
        return self.filter(Q(added=True) | Q(name__in=in_use().order_by().values("sending_domain")))

    def visible_to(self, user: User) -> "DomainQuerySet":
        """Whoever may not know shared providers sees only domains that nothing but values of their own servers use."""
        if knows_all(user):
            return self
        mine = in_use().filter(server__in=Server.objects.visible_to(user), confidential=False)
        others = in_use().exclude(pk__in=mine.order_by().values("pk"))
        own = self.filter(name__in=mine.order_by().values("sending_domain"))
        return own.exclude(name__in=others.order_by().values("sending_domain"))

    def waiting(self) -> "DomainQuerySet":
        """Asked for, and no answer kept since."""
        return self.filter(Q(checked_at__isnull=True) | Q(checked_at__lt=F("asked_at")), asked_at__isnull=False)


class Domain(models.Model):
    """A domain mail is sent from. `report`: findings.Report.document() of the last check."""

    name = models.CharField(max_length=253, unique=True, validators=[validators.domain])
    added = models.BooleanField(default=False)  # by a person; else it is here because an account sends for it
    selectors = models.CharField("DKIM selectors", max_length=520, blank=True)  # parted by blanks; 8 labels at most
    state = models.CharField(max_length=10, choices=State, default=State.UNKNOWN)
    report = models.JSONField(default=dict, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)  # a worker is looking

    objects = DomainQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def checking(self) -> bool:
        return bool(self.asked_at and (self.checked_at is None or self.checked_at < self.asked_at))

    @property
    def shown_state(self) -> str:
        return "checking" if self.checking else self.state

    @property
    def stands_out(self) -> str:
        """The worst thing that was said at the last check, of what makes the state."""
        found = [f for f in self.report.get("findings", ()) if f["state"] != UNKNOWN or f["area"] not in ASIDE]
        return next((f["what"] for state in (FAIL, WARN, UNKNOWN) for f in found if f["state"] == state), "")


class DnsCheck(models.Model):
    """What was found when it differed from the time before. Written once, never changed."""

    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, related_name="checks")
    at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State)
    changes = models.JSONField(default=list)  # sentences
    report = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["domain", "-at"])]

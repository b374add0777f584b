"""One asking (Batch), its runs (Job, one per server), and what each run did. The Job row is the truth."""

import uuid

from django.db import models
from django.db.models import Count, Q

from controlpanel.access.models import User
from servers.models import Server, sees_all

PACE = ("portion", "concurrency", "stop_after", "stop_percent", "starts_at", "ends_at")  # and a canary


class BatchQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> "BatchQuerySet":
        """Batches with at least one job this person may see."""
        return self if sees_all(user) else self.filter(pk__in=Job.objects.visible_to(user).values("batch"))

    def paced(self) -> "BatchQuerySet":
        """Batches that let their jobs go bit by bit: `Batch.paced` in SQL."""
        chosen = Q(canary__gt=0)
        for column in PACE:
            chosen |= Q(**{f"{column}__isnull": False})
        return self.filter(chosen)


class Batch(models.Model):
    """One asking, and how its jobs are let loose: `rollout.Policy` in columns."""

    action = models.CharField(max_length=60)  # "gateway.install"
    options = models.JSONField(default=dict, blank=True)  # never secrets
    asked_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL)
    asked_at = models.DateTimeField(auto_now_add=True, db_index=True)
    canary = models.PositiveIntegerField(default=0)  # first so many servers; the rest only if all of them succeeded
    portion = models.PositiveSmallIntegerField(null=True, blank=True)  # % of the servers in a wave after the canary
    stop_after = models.PositiveIntegerField(null=True, blank=True)  # failures that stop the batch
    stop_percent = models.PositiveSmallIntegerField(null=True, blank=True)  # the same in % of all servers
    concurrency = models.PositiveIntegerField(null=True, blank=True)  # jobs of this batch at work at once
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)  # what has not begun by then does not begin
    wave = models.PositiveIntegerField(default=0)  # the wave that may run now
    stopped_at = models.DateTimeField(null=True, blank=True)
    stopped_reason = models.CharField(max_length=300, blank=True)  # one sentence

    objects = BatchQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    @property
    def paced(self) -> bool:
        """Whether `rollout.advance` has anything to do; the jobs of a plain batch all went at once."""
        return bool(self.canary) or any(getattr(self, column) is not None for column in PACE)


class Status(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    ERRORED = "errored", "Panel error"
    CANCELLED = "cancelled", "Cancelled"
    LOST_CONTACT = "lost-contact", "Lost contact"


LIVE = (Status.QUEUED, Status.RUNNING, Status.LOST_CONTACT)
FINISHED = (Status.SUCCEEDED, Status.FAILED, Status.ERRORED, Status.CANCELLED)


class JobQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> "JobQuerySet":
        return self if sees_all(user) else self.filter(server__in=Server.objects.visible_to(user))

    def live(self) -> "JobQuerySet":
        return self.filter(status__in=LIVE)

    def unsuccessful(self) -> "JobQuerySet":
        """What "retry failed servers" means: finished without success, skipped and unreachable servers included."""
        return self.filter(status__in=FINISHED).exclude(status=Status.SUCCEEDED)

    def with_names(self) -> "JobQuerySet":
        return self.select_related("server", "batch__asked_by")

    def counts(self) -> dict[str, int]:
        """{status: how many}, statuses nobody has left out."""
        return dict(self.order_by().values_list("status").annotate(Count("id")))


class Job(models.Model):
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="jobs")
    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="jobs")
    action = models.CharField(max_length=60)
    mutating = models.BooleanField()
    token = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)  # names the run on the server
    status = models.CharField(max_length=12, choices=Status, default=Status.QUEUED)
    fence = models.PositiveIntegerField(default=0)  # rises with every claim; the server-side runner refuses a lower one
    lease_until = models.DateTimeField(null=True, blank=True)
    rung_at = models.DateTimeField(null=True, blank=True)  # when the broker was last told
    due_at = models.DateTimeField(null=True, blank=True)  # lost contact: when to look again
    lost_at = models.DateTimeField(null=True, blank=True)  # since when nothing was heard of a submitted run
    cancel_asked_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    cancel_asked_at = models.DateTimeField(null=True, blank=True)
    retry_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="retries")
    wave = models.PositiveIntegerField(default=0)  # 0 is the canary, or everything
    rank = models.PositiveSmallIntegerField(default=0)  # whose turn is first: 0 one server, 1 a batch
    released_at = models.DateTimeField(null=True, blank=True)  # from then on a worker may take it
    queued_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)  # a detached script was handed to the server
    journal_offset = models.PositiveBigIntegerField(default=0)
    changed = models.BooleanField(null=True)
    outcome = models.TextField(blank=True)  # one sentence
    cause = models.CharField(max_length=60, blank=True)  # slug, for grouping
    hint = models.TextField(blank=True)  # the next move
    result = models.JSONField(default=dict, blank=True)
    output_pruned_at = models.DateTimeField(null=True, blank=True)  # lines of it were removed, because of age or size

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["status", "lease_until"]),
            models.Index(fields=["server", "-id"]),
            models.Index(fields=["batch", "status", "released_at"]),
            models.Index(
                fields=["status", "rank", "id"],  # the status too, or SQLite prefers another index and sorts
                condition=Q(status="queued", released_at__isnull=False),
                name="jobs_whose_turn",
            ),
            models.Index(
                fields=["batch", "status", "wave", "id"],
                condition=Q(status="queued", released_at__isnull=True),
                name="jobs_held_back",
            ),
            models.Index(fields=["finished_at"]),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["server"],
                condition=Q(mutating=True, status__in=["queued", "running", "lost-contact"]),
                name="one_live_mutating_job_per_server",
            )
        ]

    def __str__(self) -> str:
        return f"job {self.pk}"

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    @property
    def seconds(self) -> float | None:
        """From the first claim to the end; None while there is no end."""
        if not (self.started_at and self.finished_at):
            return None
        return (self.finished_at - self.started_at).total_seconds()


class JobStep(models.Model):
    class State(models.TextChoices):
        RUNNING = "running", "Running"
        CHANGED = "changed", "Changed"
        UNCHANGED = "unchanged", "Nothing to change"
        FAILED = "failed", "Failed"
        SKIPPED = "skipped", "Skipped"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    slug = models.CharField(max_length=60)
    title = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    on_server = models.BooleanField(default=False)  # a step of the plan; the others look, prove, and change nothing
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["job", "position"], name="one_step_per_position")]


class JobLine(models.Model):
    """Output of a step: masked, stripped of control characters, capped."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="lines")
    step = models.ForeignKey(JobStep, on_delete=models.CASCADE, related_name="lines")
    number = models.PositiveIntegerField()
    text = models.TextField()

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="one_line_per_number")]


class Pause(models.Model):
    """While there is the row no job begins; those at work go on to their end."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)  # one row at most
    since = models.DateTimeField(auto_now_add=True)
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL)
    reason = models.CharField(max_length=200, blank=True)


class Worker(models.Model):
    """A worker process that was alive at `seen_at`, so that nobody waits for one that is not there."""

    name = models.CharField(max_length=120, unique=True)  # host:pid
    seen_at = models.DateTimeField()

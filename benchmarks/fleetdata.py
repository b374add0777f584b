"""A fleet as it looks after a year, made in the database: servers, gateways, jobs with their output, test emails."""

import random
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.utils import timezone

from controlpanel.access.models import Role, User
from gateway.models import Gateway, Smarthost, TestEmail
from servers.jobs.models import Batch, Job, Status
from servers.models import Server, SshKey, Tag
from servers.remote.secret import Secret

OF_A_CUSTOMER = 300
SMALL_BATCH = 50
LINES_OF_A_STEP = 25
TESTS_PER_SERVER = 2
ROWS = 2000  # of one INSERT
_OUTCOMES = {
    Status.SUCCEEDED: ("The gateway is as it should be; nothing to change.", "", ""),
    Status.FAILED: ("535 5.7.8 authentication failed at smtp.example.com.", "sign-in", "Correct the password."),
    Status.ERRORED: ("The server does not answer.", "unreachable", "Look whether it is up, then retry."),
}
_REACH = [Server.Reach.OK] * 47 + [Server.Reach.FAILED, Server.Reach.KEY_CHANGED, Server.Reach.UNKNOWN]
_GATEWAYS = [
    *[Gateway.State.WORKING] * 80,
    *[Gateway.State.ABSENT] * 10,
    *[Gateway.State.BROKEN] * 5,
    *[Gateway.State.DRIFTED] * 3,
    *[Gateway.State.UNKNOWN] * 2,
]


@dataclass(frozen=True)
class Size:
    servers: int
    jobs: int
    lines: int


@dataclass(frozen=True)
class Made:
    """What the pages are opened for. running: a batch over every server, part of it still queued."""

    administrator: int
    customer: int
    running: int
    ended: int
    job: int


def fill(size: Size) -> Made:
    dice = random.Random(3)  # noqa: S311 the same fleet each time
    now = timezone.now()
    administrator = User.objects.create_user(email="anna@example.org", password=None, role=Role.ADMINISTRATOR)
    customer = User.objects.create_user(email="carl@example.org", password=None, role=Role.CUSTOMER)
    servers = _servers(size, dice, customer, now)
    smarthosts = _gateways(servers, dice, now)
    running = _batch(administrator, now - timedelta(minutes=5))
    ended = _batch(administrator, now - timedelta(days=1))
    jobs = _ended(ended, servers, dice, now - timedelta(days=1)) + _older(size, servers, administrator, dice, now)
    Job.objects.bulk_create(jobs, batch_size=ROWS)
    _output(size)
    Job.objects.bulk_create(_running(running, servers, dice, now), batch_size=ROWS)
    _tests(servers, smarthosts, dice, now)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    job = Job.objects.filter(batch=ended, status=Status.FAILED).order_by("pk").first()
    return Made(administrator.pk, customer.pk, running.pk, ended.pk, job.pk)


def _servers(size: Size, dice: random.Random, customer: User, now) -> list[Server]:
    key = SshKey.objects.create(name="panel", public="ssh-ed25519 AAAA", private=Secret("none"), is_default=True)
    stages = [{"state": "ok", "title": f"Stage {n}", "text": "As it should be. " * 4} for n in range(8)]
    findings = {"stages": stages, "facts": {"os": "Debian GNU/Linux 12", "kernel": "6.1.0", "memory": 2048}}
    servers = [
        Server(
            name=f"{dice.choice(['web', 'shop', 'db', 'mail'])}-{number:05}",
            address=f"10.{number // 65025}.{number // 255 % 255}.{number % 255}",
            ssh_key=key,
            reach=dice.choice(_REACH),
            checked_at=now - timedelta(minutes=dice.randrange(60 * 24 * 30)),
            findings=findings,
            note="Rack 4, looked after by the shop team." if number % 3 == 0 else "",
        )
        for number in range(size.servers)
    ]
    Server.objects.bulk_create(servers, batch_size=ROWS)
    tags = Tag.objects.bulk_create([Tag(name=name) for name in ("eu", "us", "shop", "legacy", "canary", "debian12")])
    tagged = [
        Server.tags.through(server=server, tag=tag)
        for server in servers
        for tag in dice.sample(tags, dice.randrange(4))
    ]
    Server.tags.through.objects.bulk_create(tagged, batch_size=ROWS)
    Server.people.through.objects.bulk_create(
        [Server.people.through(server=server, user=customer) for server in dice.sample(servers, OF_A_CUSTOMER)]
    )
    return servers


def _gateways(servers: list[Server], dice: random.Random, now) -> dict:
    """{server id: the provider it runs on}"""
    shared = [
        Smarthost(name=f"Account {n}", host=f"smtp{n}.example.com", username=f"relay{n}", password=Secret("none"))
        for n in range(8)
    ]
    shared[0].is_default = True
    own = [
        Smarthost(
            name="Own values", host="smtp.example.net", username=f"own{n}", password=Secret("none"), server=server
        )
        for n, server in enumerate(servers)
        if n % 20 == 0
    ]
    Smarthost.objects.bulk_create([*shared, *own], batch_size=ROWS)
    of_server = {row.server_id: row for row in own}
    rows, used = [], {}
    for server in servers:
        state = dice.choice(_GATEWAYS)
        chosen = of_server.get(server.pk) or dice.choice(shared)
        absent = state == Gateway.State.ABSENT
        if not absent:
            used[server.pk] = chosen
        reason = {Gateway.State.BROKEN: f"{chosen.host} answers 535 5.7.8", Gateway.State.DRIFTED: "relayhost changed"}
        rows.append(
            Gateway(
                server=server,
                wanted=None if absent else chosen,
                applied=None if absent else chosen,
                state=state,
                reason=reason.get(state, ""),
                queued=0 if absent or dice.random() > 0.03 else dice.randrange(1, 80),
                verified_at=None if absent else now,
            )
        )
    Gateway.objects.bulk_create(rows, batch_size=ROWS)
    return used


def _batch(asker: User, at, action: str = "gateway.check") -> Batch:
    batch = Batch.objects.create(action=action, asked_by=asker)
    Batch.objects.filter(pk=batch.pk).update(asked_at=at)
    return batch


def _job(batch: Batch, server: Server, at, dice: random.Random, rank: int) -> Job:
    status = dice.choices([Status.SUCCEEDED, Status.FAILED, Status.ERRORED], [92, 5, 3])[0]
    outcome, cause, hint = _OUTCOMES[status]
    return Job(
        batch=batch,
        server=server,
        action=batch.action,
        mutating=batch.action == "gateway.install",
        status=status,
        fence=1,
        rank=rank,
        queued_at=at,
        released_at=at,
        started_at=at,
        finished_at=at + timedelta(seconds=4),
        changed=False,
        outcome=outcome,
        cause=cause,
        hint=hint,
        result={"relay": "smtp.example.com[203.0.113.9]:587", "evidence": "220 ready\n250 ok\n" * 20, "queued": 0},
    )


def _ended(batch: Batch, servers: list[Server], dice: random.Random, at) -> list[Job]:
    return [_job(batch, server, at, dice, 1) for server in servers]


def _older(size: Size, servers: list[Server], asker: User, dice: random.Random, now) -> list[Job]:
    """Half of them alone, half in batches of fifty."""
    left = size.jobs - 2 * len(servers)
    jobs, actions = [], ["gateway.check", "gateway.test", "gateway.install", "gateway.preview"]
    while len(jobs) < left:
        count = 1 if len(jobs) < left // 10 else min(SMALL_BATCH, left - len(jobs))
        at = now - timedelta(minutes=dice.randrange(2000, 60 * 24 * 90))
        batch = Batch(action=dice.choice(actions), asked_by=asker)
        batch.save()
        jobs += [_job(batch, server, at, dice, int(count > 1)) for server in dice.sample(servers, count)]
    return jobs


def _running(batch: Batch, servers: list[Server], dice: random.Random, now) -> list[Job]:
    """A third has ended; the simulated workers do the rest."""
    jobs = []
    for number, server in enumerate(servers):
        job = _job(batch, server, now, dice, 1)
        if number % 3:
            job = Job(batch=batch, server=server, action=batch.action, mutating=False, rank=1, released_at=now)
        jobs.append(job)
    return jobs


def _output(size: Size) -> None:
    """Two steps a job and the lines among them, made where they are kept."""
    jobs = Job.objects.count()
    of_a_step = max(1, round(size.lines / jobs / 2))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_jobstep (job_id, position, slug, title, state, on_server, started_at, finished_at) "
            "SELECT j.id, p.n, 'look', 'Look at the server', 'unchanged', false, j.started_at, j.finished_at "
            "FROM jobs_job j CROSS JOIN (SELECT 0 AS n UNION ALL SELECT 1) p"
        )
        cursor.execute(
            "INSERT INTO jobs_jobline (job_id, step_id, number, text) "
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %s) "
            "SELECT s.job_id, s.id, s.position * %s + n.i, 'smtp[4711]: 4F2A1: to=<a@example.org>, status=sent' "
            "FROM jobs_jobstep s CROSS JOIN n",
            [of_a_step, of_a_step],
        )


def _tests(servers: list[Server], used: dict, dice: random.Random, now) -> None:
    replies = {
        "sent": "250 2.0.0 Ok: queued as 4F2A1",
        "deferred": "450 4.2.0 try later",
        "bounced": "550 5.7.1 refused",
    }
    rows = []
    for server in servers:
        for _ in range(TESTS_PER_SERVER if server.pk in used else 0):
            delivery = dice.choices(["sent", "deferred", "bounced", "queued"], [90, 5, 4, 1])[0]
            at = now - timedelta(minutes=dice.randrange(60 * 24 * 14))
            reply = replies.get(delivery, "")
            rows.append(TestEmail(server=server, smarthost=used[server.pk], at=at, delivery=delivery, reply=reply))
    TestEmail.objects.bulk_create(rows, batch_size=ROWS)

from datetime import timedelta

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from servers.jobs.models import Batch, Job, JobLine, JobStep, Status
from tests.factories.people import OperatorFactory
from tests.factories.servers import ServerFactory


class BatchFactory(DjangoModelFactory):
    class Meta:
        model = Batch

    action = "toy.set"
    asked_by = factory.SubFactory(OperatorFactory)


class JobFactory(DjangoModelFactory):
    """A queued mutating job. Traits `running`, `succeeded`, `failed`, `lost` put the row into that state."""

    class Meta:
        model = Job

    batch = factory.SubFactory(BatchFactory, action=factory.SelfAttribute("..action"))
    server = factory.SubFactory(ServerFactory)
    action = "toy.set"
    mutating = True
    released_at = factory.LazyFunction(timezone.now)

    class Params:
        running = factory.Trait(
            status=Status.RUNNING,
            fence=1,
            started_at=factory.LazyFunction(timezone.now),
            lease_until=factory.LazyFunction(lambda: timezone.now() + timedelta(seconds=20)),
        )
        lost = factory.Trait(
            status=Status.LOST_CONTACT,
            fence=1,
            started_at=factory.LazyFunction(timezone.now),
        )
        succeeded = factory.Trait(
            status=Status.SUCCEEDED,
            fence=1,
            changed=True,
            outcome="Set.",
            started_at=factory.LazyFunction(timezone.now),
            finished_at=factory.LazyFunction(timezone.now),
        )
        failed = factory.Trait(
            status=Status.FAILED,
            fence=1,
            changed=False,
            outcome="The server refused the sign-in.",
            cause="sign-in",
            hint="Check the user name and the key.",
            started_at=factory.LazyFunction(timezone.now),
            finished_at=factory.LazyFunction(timezone.now),
        )


class JobStepFactory(DjangoModelFactory):
    class Meta:
        model = JobStep

    job = factory.SubFactory(JobFactory)
    position = factory.Sequence(lambda n: n)
    slug = factory.LazyAttribute(lambda step: f"step-{step.position}")
    title = factory.LazyAttribute(lambda step: f"Step {step.position}")
    started_at = factory.LazyFunction(timezone.now)


class JobLineFactory(DjangoModelFactory):
    class Meta:
        model = JobLine

    step = factory.SubFactory(JobStepFactory)
    job = factory.SelfAttribute("step.job")
    number = factory.Sequence(lambda n: n)
    text = factory.Sequence(lambda n: f"line {n}")

"""What is asked before something is done on many servers: the form behind the confirm page and the command line."""

from dataclasses import dataclass

from django import forms

from controlpanel.access.models import User
from servers.jobs.launch import launch
from servers.jobs.models import Batch
from servers.jobs.rollout import PLAIN, Policy
from servers.models import ServerQuerySet


@dataclass(frozen=True)
class Asked:
    """batch: what to follow, or None when no server had to be reached. told: one sentence for the person."""

    batch: Batch | None
    told: str = ""


class BulkForm(forms.Form):
    """One bulk entry of the catalogue. Subclasses add fields, and say whom they leave out and what they launch.

    The generic exclusions (archived, another job running, a changed host key) are made by the door, not here.
    """

    action = ""  # "gateway.install"; "" when no job is launched

    def __init__(self, data=None, *, viewer: User):
        super().__init__(data)
        self.viewer = viewer

    def excluded(self, servers: ServerQuerySet) -> dict:
        """{server id: why it is left out, one sentence}, in a number of queries that does not grow with the servers.
        Called after `is_valid` when there is data, so it may depend on what was chosen."""
        return {}

    def effects(self, count: int) -> list[str]:
        """What will happen to `count` servers, as sentences."""
        return []

    def ask(self, servers: ServerQuerySet, *, by: User, policy: Policy = PLAIN) -> Asked:
        """Does it. The form is valid and the servers are those that remained."""
        return Asked(launch(self.action, servers, by=by, policy=policy))

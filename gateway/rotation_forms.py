"""How the present values of a provider are brought to its servers."""

import uuid

from django import forms

from gateway import rotation
from servers.bulk import PolicyForm
from servers.jobs.rollout import Policy

CANARIES = 50  # offered to choose from, the most sensible first


class RollOutForm(PolicyForm):
    """Where new values are proved, and how they go on from there."""

    first = forms.TypedChoiceField(
        label="Prove on",
        coerce=uuid.UUID,
        empty_value=None,
        required=False,
        help_text="The others begin only when it has succeeded. Proposed: reachable, working, lately verified.",
    )
    canary = order = None
    field_order = ("first",)

    def __init__(self, data=None, *, servers: dict):
        """servers: {id: name} of those that are reached."""
        super().__init__(data)
        if len(servers) > 1:
            proposed = rotation.canaries(servers).values_list("pk", "name")[:CANARIES]
            self.fields["first"].choices = [(str(pk), name) for pk, name in proposed]
        else:
            del self.fields["first"]

    def policy(self) -> Policy:
        self.cleaned_data |= {"canary": int("first" in self.fields), "order": ""}
        self.cleaned_data.setdefault("first", None)
        return super().policy()

"""What the panel itself can be asked for many servers: a check of the connection, tags."""

from controlpanel.access.models import User
from servers import inventory
from servers.bulk import Asked, BulkForm
from servers.forms import Tags
from servers.jobs.rollout import PLAIN, Policy
from servers.models import ServerQuerySet, Tag


class CheckForm(BulkForm):
    action = "server.check"
    tries_all = True

    def effects(self, count: int) -> list[str]:
        return [
            f"The panel signs in to {_servers(count)} and looks at the connection stage by stage.",
            "Nothing is changed there. Where a host key waits for you, the panel only reads what the server shows.",
        ]


class TagsForm(BulkForm):
    tags = Tags(max_length=400, help_text="Words separated by spaces.")


class AddTagsForm(TagsForm):
    def effects(self, count: int) -> list[str]:
        return [f"{_servers(count).capitalize()} get these tags beside those they have. No server is contacted."]

    def ask(self, servers: ServerQuerySet, *, by: User, policy: Policy = PLAIN) -> Asked:
        names = self.cleaned_data["tags"]
        changed = inventory.tag(servers.only("name"), names, by=by)
        return Asked(None, f"{_servers(changed).capitalize()} tagged {', '.join(names)}.")


class RemoveTagsForm(TagsForm):
    def __init__(self, data=None, *, viewer: User):
        super().__init__(data, viewer=viewer)
        known = Tag.objects.order_by("name").values_list("name", flat=True)
        self.fields["tags"].help_text = f"Words separated by spaces. In use: {', '.join(known[:30]) or 'none'}."

    def effects(self, count: int) -> list[str]:
        return [f"{_servers(count).capitalize()} lose these tags and keep the others. No server is contacted."]

    def ask(self, servers: ServerQuerySet, *, by: User, policy: Policy = PLAIN) -> Asked:
        names = self.cleaned_data["tags"]
        changed = inventory.untag(servers.only("name"), names, by=by)
        return Asked(None, f"{', '.join(names).capitalize()} taken from {_servers(changed)}.")


def _servers(count: int) -> str:
    return "1 server" if count == 1 else f"{count} servers"

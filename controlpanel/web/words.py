"""State is a word, a colour and a shape. One table for every state the panel shows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """tone: good | calm | busy | warn | bad (a person must act). icon: the shape, also told apart without colour."""

    word: str
    tone: str
    icon: str


LOOKS: dict[str, Look] = {
    # the six words for a server's service
    "working": Look("Working", "good", "circle-check"),
    "absent": Look("Not installed", "calm", "circle-dashed"),
    "needs-you": Look("Needs you", "bad", "alert-triangle"),
    "checking": Look("Checking", "busy", "loader-2"),
    "unknown": Look("Unknown", "calm", "help-circle"),
    "paused": Look("Paused", "calm", "player-pause"),
    # narrower words: the ways of "needs you", mail that waits on a server, and a server nobody saw for long
    "failing": Look("Failing", "bad", "alert-triangle"),
    "drifted": Look("Drifted", "bad", "git-compare"),
    "mail-waits": Look("Mail waits", "warn", "hourglass"),
    "unseen": Look("Not seen lately", "warn", "plug-connected-x"),
    # jobs
    "queued": Look("Queued", "calm", "clock"),
    "running": Look("Running", "busy", "loader-2"),
    "succeeded": Look("Succeeded", "good", "circle-check"),
    "failed": Look("Failed", "bad", "alert-triangle"),
    "errored": Look("Panel error", "bad", "circle-x"),
    "cancelled": Look("Cancelled", "calm", "ban"),
    "lost-contact": Look("Lost contact", "warn", "plug-connected-x"),
    # jobs of a batch, and batches
    "succeeded-changed": Look("Succeeded, changed", "good", "circle-check"),
    "succeeded-unchanged": Look("Nothing to change", "good", "check"),
    "unreachable": Look("Unreachable", "warn", "server-off"),
    "done": Look("Done", "good", "circle-check"),
    "partly": Look("Partly done", "warn", "alert-circle"),
    "undone": Look("Not done", "warn", "circle-minus"),
    # steps
    "changed": Look("Changed", "good", "check"),
    "unchanged": Look("Nothing to change", "calm", "circle-minus"),
    "skipped": Look("Skipped", "calm", "player-skip-forward"),
    # findings
    "ok": Look("OK", "good", "circle-check"),
    "warn": Look("Warning", "warn", "alert-circle"),
    "fail": Look("Failed", "bad", "alert-triangle"),
    # a port
    "open": Look("Open", "good", "plug-connected"),
    "refused": Look("Refused", "warn", "ban"),
    "silent": Look("Silent", "warn", "hourglass"),
    "intercepted": Look("Somebody else", "bad", "shield-x"),
    "spreading": Look("Spreading", "busy", "clock"),
    "optional": Look("Optional", "calm", "circle-check"),
    # one email
    "accepted": Look("Accepted", "good", "mail-check"),
    "sent": Look("Accepted", "good", "mail-check"),
    "deferred": Look("Deferred", "warn", "hourglass"),
    "bounced": Look("Bounced", "bad", "mail-x"),
    "expired": Look("Expired", "bad", "mail-off"),
    # how a server is reached
    "reachable": Look("Reachable", "good", "plug-connected"),
    "key-changed": Look("Host key changed", "bad", "shield-x"),
    "pinned": Look("Accepted", "good", "shield-check"),
    "offered": Look("Waiting for you", "bad", "shield-lock"),
    "retired": Look("No longer used", "calm", "archive"),
    # people and keys
    "active": Look("Active", "good", "circle-check"),
    "inactive": Look("Deactivated", "calm", "ban"),
    "invited": Look("Invited", "busy", "link"),
    "on": Look("On", "good", "shield-check"),
    "off": Look("Off", "calm", "circle-dashed"),
    "set": Look("Set", "good", "lock"),
    "not-set": Look("Not set", "calm", "circle-dashed"),
}

# What stands in a job's result -> how its page calls it.
FACTS: dict[str, str] = {
    "Queue id": "Queue ID",
    "Provider id": "The provider's ID",
    "Relay": "Handed to",
    "Seconds": "Seconds taken",
    "Queued": "Emails waiting",
}

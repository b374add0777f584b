"""Remarks on credentials that look like they were put in the wrong field. They never repeat what was typed."""

import re

from gateway.providers.preset import Hint, Preset
from servers.remote.secret import Secret


def advise(preset: Preset, username: str, secret: Secret | str | bytes | None) -> list[str]:
    """Sentences for a person, most specific first; empty when nothing looks wrong. `secret` never appears in them.

    secret: None means "kept as it is, unknown here": then only the user name is judged.
    """
    value = _text(secret)
    said = [hint.text for hint in preset.hints if _applies(hint, username, value)]
    if preset.username_is_address and username and "@" not in username:
        said.append(f"{preset.username_label}: this is usually a full address, name@domain.")
    if value != value.strip():
        said.append("The password begins or ends with a space or another blank, which is easy to copy by mistake.")
    if preset.auth != "none" and secret is not None and bool(username) != bool(value):
        missing = preset.secret_label if username else preset.username_label
        said.append(f"{missing} is empty: to sign in, both fields are needed.")
    return said


def _applies(hint: Hint, username: str, secret: str) -> bool:
    if hint.same and username == secret:
        return False
    values = {"username": [username], "secret": [secret], "both": [username, secret]}[hint.field]
    if hint.same and not all(values):
        return False
    if hint.squeeze:
        values = [re.sub(r"\s", "", value) for value in values]
    return any(_matches(hint, value) for value in values if value)


def _matches(hint: Hint, value: str) -> bool:
    if hint.when is not None:
        return bool(hint.when.search(value))
    return hint.unless is not None and not hint.unless.search(value)


def _text(secret: Secret | str | bytes | None) -> str:
    if isinstance(secret, Secret):
        secret = secret.reveal()
    if isinstance(secret, bytes):
        return secret.decode("utf-8", "replace")
    return secret or ""

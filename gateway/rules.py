"""What a preset makes of the values a person typed: one set of rules for page, command line and model."""

from collections.abc import Callable
from dataclasses import replace

from django.core.exceptions import ValidationError

from gateway import overrides, validators
from gateway.models import Smarthost
from gateway.postfix import distro
from gateway.providers import presets, ses
from gateway.providers.advice import advise
from gateway.providers.preset import Preset
from gateway.values import Values, of
from servers.models import Server
from servers.remote.secret import Secret


def preset_of(slug: str) -> Preset:
    """As this organisation wants it, in one statement. Raises ValidationError for the field `preset`."""
    return _there(overrides.preset, slug)


def kind_of(slug: str) -> Preset:
    """For what nobody can change of it, which is how one signs in, without a statement. Raises ValidationError."""
    return _there(overrides.built_in, slug)


def label(slug: str) -> str:
    return kind_of(slug).label


def _there(read: Callable[[str], Preset], slug: str) -> Preset:
    try:
        return read(slug)
    except KeyError as error:
        raise ValidationError({"preset": "There is no SMTP provider preset of this name."}) from error


def title(new: Values) -> str:
    """What own values are called: the provider, or the host where no preset names one."""
    preset = kind_of(new.preset)
    return (new.host if preset.any_port else preset.label)[:80]


def only(rule: Callable, field: str, value: object) -> None:
    """Runs a field rule where no form does, naming the field."""
    try:
        rule(value)
    except ValidationError as error:
        raise ValidationError({field: error.messages}) from error


def token_twice(preset: Preset) -> bool:
    """The provider signs in with one token as user name and password; then only the password column holds it."""
    return any(hint.same for hint in preset.hints)


def settle(new: Values) -> Values:
    """`new` with everything the preset decides filled in: host, port, encryption, user name, derived password.
    Raises ValidationError by field for what cannot work."""
    preset = preset_of(new.preset)
    new = new.tidy()
    if new.password is not None:
        only(validators.password, "password", new.password)
    port = new.port or preset.default_port[0]
    new = replace(_placed(preset, new), port=port, tls=new.tls or implied_tls(preset, port))
    new = _credentials(preset, new)
    if not new.host:
        raise ValidationError({"host": "Type the name of the SMTP server."})
    blocking = {p.field: p.text for p in presets.accepted(preset, new.host, port, new.tls) if p.blocking}
    if blocking:
        raise ValidationError(blocking)
    return new


def ready(new: Values, *, has_password: bool) -> None:
    """Raises ValidationError when a gateway cannot be built from these settled values."""
    preset = kind_of(new.preset)
    if preset.needs_auth and not new.username and not token_twice(preset):
        raise ValidationError({"username": f"{preset.label} needs a user name: {preset.username_hint}"})
    if (preset.needs_auth or new.username) and not has_password:
        raise ValidationError({"password": "Type the password: none is stored for these values."})


def carried(server: Server, new: Values) -> None:
    """Raises ValidationError for a colon in the user name where this server's Postfix is known to split there."""
    system, _, version = str(server.findings.get("facts", {}).get("os", "")).rpartition(" ")
    known = distro.find(system.lower(), version)
    if ":" in new.username and known is not None and not known.delimiter:
        raise ValidationError({"username": f"Postfix on {known.name} cannot carry a colon in a user name."})


def warnings(smarthost: Smarthost, *, typed: bool = False, preset: Preset | None = None) -> list[str]:
    """What a person should see although it may work. typed: the password is new, so it is judged too, never shown.
    preset: the account's, where a list has read them all."""
    new, preset = of(smarthost), preset or preset_of(smarthost.preset)
    found = [p.text for p in presets.accepted(preset, new.host, new.port, new.tls) if not p.blocking]
    if new.tls != "none" and not new.verify_certificate:
        found.append("The certificate is not checked: whoever sits on the way can read the password and the mail.")
    if preset.needs_helo and not new.helo_name:
        found.append(
            f"{preset.label} refuses servers that introduce themselves (HELO) with less than a complete host name. No "
            "HELO name is set, so each server gives its own: it has to be complete, such as web-1.example.com."
        )
    if preset.auth == "none" or (preset.auth == "optional" and not preset.any_port and not new.username):
        found.append(
            f"Nobody signs in: {preset.label} knows a server by its IP address or domain alone, so every program on it "
            "can send in its name."
        )
    if typed and (password := smarthost.password) is not None:
        found += advise(preset, new.username or (_text(password) if token_twice(preset) else ""), password)
    return found


def _placed(preset: Preset, new: Values) -> Values:
    region = (new.region or preset.default_region) if preset.regions else ""
    if preset.regions and region not in preset.regions:
        raise ValidationError({"region": f"{preset.label} has no SMTP server in this region."})
    if preset.host and (not new.host or new.host in preset.hosts()):
        return replace(new, region=region, host=preset.host_in(region))
    return replace(new, region=region)


def implied_tls(preset: Preset, port: int) -> str:
    """The encryption a person means who names only the port."""
    return dict(preset.ports).get(port) or ("none" if not preset.tls_possible else presets.tls_for_port(port))


def _credentials(preset: Preset, new: Values) -> Values:
    if preset.auth == "none":
        if new.username or new.password is not None:
            raise ValidationError({"username": f"{preset.label} takes no sign-in: leave user name and password empty."})
        return new
    if preset.username:
        new = replace(new, username=preset.username)
    if token_twice(preset) and new.password is not None and new.username == _text(new.password):
        new = replace(new, username="")
    if new.password is not None and not new.username and not token_twice(preset):
        raise ValidationError({"username": "A password needs a user name."})
    if preset.slug == "ses" and new.password is not None and (new.iam_secret or ses.is_iam_secret(new.password)):
        new = replace(new, password=ses.smtp_password(new.password, new.region), iam_secret=False)
    elif new.iam_secret:
        raise ValidationError({"password": "Only Amazon SES derives its password, and only from a typed IAM secret."})
    return new


def _text(secret: Secret) -> str:
    return secret.reveal().decode("utf-8", "surrogateescape")

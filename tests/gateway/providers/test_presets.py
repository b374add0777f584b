"""Presets: what every one of them promises, and the rules that follow from a port, a host and a policy."""

import re
from datetime import date

import pytest

from gateway.providers import presets

EVERY = [pytest.param(preset, id=preset.slug) for preset in presets.all()]
FORBIDDEN = re.compile(r"\bplease\b|successfully|!", re.IGNORECASE)


def test_the_presets_of_this_release_are_there():
    assert {preset.slug for preset in presets.all()} >= {
        *("generic", "gmail", "google-relay", "m365", "sendgrid", "mailgun-us", "mailgun-eu"),
        *("ses", "postmark", "brevo", "godaddy-relay", "m365-direct", "m365-hve", "outlook", "smtp2go", "resend"),
        *("sparkpost-us", "sparkpost-eu", "mailjet", "mandrill", "zoho", "zoho-pro", "zeptomail", "mailersend"),
        *("elastic", "fastmail"),
    }


def test_an_unknown_preset_is_a_key_error():
    with pytest.raises(KeyError):
        presets.get("nobody")


@pytest.mark.parametrize("preset", EVERY)
def test_every_preset_is_complete_and_fits_itself(preset):
    assert re.fullmatch(r"[a-z0-9-]{2,40}", preset.slug)
    assert preset.auth in ("required", "optional", "none")
    assert preset.from_policy in ("reject", "rewrite", "must_equal_login", "tenant_only", "any")
    assert preset.rewrite_to in ("domain", "login")
    assert isinstance(preset.verified, date) and preset.source
    for host in preset.hosts() or ("smtp.example.com",):
        for port, tls in preset.ports:
            assert not [p for p in presets.accepted(preset, host, port, tls) if p.blocking]
    if preset.tls_possible:
        assert all(tls != "none" for _, tls in preset.ports)
    hash(preset)


@pytest.mark.parametrize("preset", EVERY)
def test_every_preset_but_the_generic_one_says_what_it_wants_in_dns(preset):
    if preset.slug == "generic":
        return
    wanted = preset.dns
    assert wanted.spf_needed in ("root", "return-path", "no")
    assert wanted.spf_include or wanted.spf_needed == "no"
    assert wanted.note or (wanted.spf_include and wanted.dkim)
    for key in wanted.dkim:
        assert key.kind in ("cname", "txt") and re.fullmatch(r"[a-z0-9]+", key.selector)
        assert not key.target or "." in key.target.format(domain="example.com", region="eu-west-1")


def test_a_region_may_be_spelt_another_way_in_the_host():
    assert presets.get("zoho").host_in("au") == "smtp.zoho.com.au"
    assert presets.for_host("smtppro.zoho.eu").slug == "zoho-pro"


def test_direct_send_expects_the_mx_of_the_domain():
    direct = presets.get("m365-direct")
    assert presets.accepted(direct, "example-com.mail.protection.outlook.com", 25, "starttls") == ()
    (remark,) = presets.accepted(direct, "smtp.office365.com", 25, "starttls")
    assert (remark.field, remark.blocking) == ("host", False)
    assert [p.field for p in presets.accepted(direct, "x.mail.protection.outlook.com", 587, "starttls")] == ["port"]


@pytest.mark.parametrize("preset", EVERY)
def test_every_sentence_is_plain(preset):
    said = [preset.caveat, preset.username_hint, preset.secret_hint, *(hint.text for hint in preset.hints)]
    for sentence in said:
        assert sentence.endswith(".") and not FORBIDDEN.search(sentence), sentence


@pytest.mark.parametrize(
    "port, tls",
    [
        (465, "implicit"),
        (2465, "implicit"),
        (587, "starttls"),
        (2587, "starttls"),
        (25, "starttls"),
        (2525, "starttls"),
    ],
)
def test_a_port_implies_its_mode(port, tls):
    assert presets.tls_for_port(port) == tls


@pytest.mark.parametrize(
    "slug, port, tls, field",
    [
        ("generic", 465, "starttls", "tls"),
        ("generic", 465, "none", "tls"),
        ("generic", 2465, "starttls", "tls"),
        ("generic", 587, "implicit", "tls"),
        ("sendgrid", 2525, "implicit", "tls"),
        ("m365", 465, "implicit", "port"),
        ("postmark", 465, "implicit", "port"),
        ("godaddy-relay", 25, "starttls", "tls"),
    ],
)
def test_an_endpoint_that_cannot_work_is_refused(slug, port, tls, field):
    preset = presets.get(slug)
    found = presets.accepted(preset, preset.host or "smtp.example.com", port, tls)
    assert [problem.field for problem in found if problem.blocking][:1] == [field]


@pytest.mark.parametrize(
    "slug, host, port, tls",
    [
        ("generic", "smtp.example.com", 587, "none"),
        ("godaddy-relay", "relay-hosting.secureserver.net", 25, "none"),
        ("sendgrid", "smtp.sendgrid.net", 8025, "starttls"),
        ("sendgrid", "mail.example.com", 587, "starttls"),
    ],
)
def test_an_unusual_endpoint_is_a_visible_warning(slug, host, port, tls):
    found = presets.accepted(presets.get(slug), host, port, tls)
    assert found and not any(problem.blocking for problem in found)


def test_the_usual_endpoint_has_no_remark():
    assert presets.accepted(presets.get("sendgrid"), "SMTP.sendgrid.net.", 587, "starttls") == ()
    assert presets.accepted(presets.get("generic"), "mail.example.com", 1025, "implicit") == ()


def test_regions_make_hosts_and_unknown_ones_are_refused():
    ses = presets.get("ses")
    assert ses.host_in("eu-central-1") == "email-smtp.eu-central-1.amazonaws.com"
    assert presets.for_host("email-smtp.us-west-2.amazonaws.com") is ses
    with pytest.raises(ValueError, match="region"):
        ses.host_in("mars-1")


@pytest.mark.parametrize(
    "slug, username, domain, rule",
    [
        ("m365", "box@example.com", "example.com", "box@example.com"),
        ("gmail", "me@gmail.com", "gmail.com", "me@gmail.com"),
        ("gmail", "me", "example.com", "@example.com"),
        ("sendgrid", "apikey", "example.com", "@example.com"),
        ("mailgun-eu", "postmaster@mg.example.com", "mg.example.com", "@mg.example.com"),
        ("godaddy-relay", "", "example.com", "@example.com"),
        ("ses", "AKIAIOSFODNN7EXAMPLE", "", ""),
    ],
)
def test_local_senders_become_an_address_the_provider_takes(slug, username, domain, rule):
    assert presets.rewrite_rule(presets.get(slug), username, domain) == rule

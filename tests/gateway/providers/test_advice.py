"""Wrong-field remarks: they are right, they never repeat the secret, and right credentials get none."""

import pytest

from gateway.providers import presets
from gateway.providers.advice import advise
from servers.remote.secret import Secret

TOKEN = "8d2e5d64-31d2-4c33-b6f1-0123456789ab"
RIGHT = [
    ("gmail", "me@gmail.com", "abcdefghijklmnop"),
    ("m365", "box@example.com", "any Password: #1"),
    ("sendgrid", "apikey", "SG.abc.def"),
    ("mailgun-us", "postmaster@mg.example.com", "0123456789abcdef"),
    ("ses", "AKIAIOSFODNN7EXAMPLE", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
    ("postmark", TOKEN, TOKEN),
    ("postmark", "PM-T-stream-abc", "secret-key"),
    ("brevo", "7a1b2c001@smtp-brevo.com", "xsmtpsib-abcdef"),
    ("godaddy-relay", "", ""),
    ("google-relay", "", ""),
    ("generic", "anything", "with: every & sign"),
]
WRONG = [
    ("gmail", "me@gmail.com", "Summer2026", "16 letters"),
    ("gmail", "me@gmail.com", "abcd efgh ijkl mnop", "without the spaces"),
    ("sendgrid", "me@example.com", "SG.abc.def", "apikey"),
    ("sendgrid", "apikey", "my-login-password", "SG."),
    ("mailgun-us", "postmaster@mg.example.com", "key-0123456789abcdef", "API key"),
    ("ses", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "IAM secret"),
    ("ses", "ASIAIOSFODNN7EXAMPLE", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2", "temporary"),
    ("ses", "me@example.com", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2", "access key ID"),
    ("postmark", TOKEN, "something-else", "both fields"),
    ("postmark", "me@example.com", TOKEN, "both fields"),
    ("brevo", "me@example.com", "xkeysib-abcdef", "SMTP key"),
    ("godaddy-relay", "me", "secret-value", "no sign-in"),
    ("generic", "me", "trailing-blank ", "space"),
    ("generic", "me", "", "empty"),
    ("generic", "", "lonely-secret", "empty"),
    ("m365", "box", "a-password", "full address"),
]


@pytest.mark.parametrize("slug, username, secret", RIGHT)
def test_right_credentials_get_no_remark(slug, username, secret):
    assert advise(presets.get(slug), username, Secret(secret)) == []


@pytest.mark.parametrize("slug, username, secret, word", WRONG)
def test_a_value_in_the_wrong_field_is_named_without_repeating_it(slug, username, secret, word):
    said = advise(presets.get(slug), username, Secret(secret))
    assert any(word in sentence for sentence in said), said
    assert not secret.strip() or all(secret.strip() not in sentence for sentence in said)


def test_a_secret_that_is_kept_is_not_called_missing():
    assert advise(presets.get("sendgrid"), "apikey", None) == []


def test_bytes_that_are_not_text_are_no_error():
    assert advise(presets.get("sendgrid"), "apikey", b"\xff\xfe")

"""How the sign-in library meets this panel."""

from allauth.account.adapter import DefaultAccountAdapter
from django.db import transaction
from django.urls import reverse

from controlpanel.access import audit
from controlpanel.access.models import User

_NOTICES = {
    "account/email/password_changed": "changed own password",
    "account/email/password_set": "chose a password",
    "mfa/email/totp_activated": "turned on the authenticator app",
    "mfa/email/totp_deactivated": "removed the authenticator app",
    "mfa/email/recovery_codes_generated": "made recovery codes",
    "mfa/email/webauthn_added": "added a key",
    "mfa/email/webauthn_removed": "removed a key",
}


class AccountAdapter(DefaultAccountAdapter):
    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": "The email address or the password is wrong.",
        "too_many_login_attempts": "Too many failed tries. Wait five minutes, then try again.",
        "incorrect_password": "The password is wrong.",
    }

    def is_open_for_signup(self, request) -> bool:
        """People are invited by an administrator; nobody signs up."""
        return False

    def send_notification_mail(self, template_prefix: str, user: User, context=None, email=None) -> None:
        """Where the library would send mail about a change of sign-in, the audit log gets the entry."""
        with transaction.atomic():
            audit.record(user, _NOTICES.get(template_prefix, template_prefix), user)

    def get_password_change_redirect_url(self, request) -> str:
        return reverse("profile")

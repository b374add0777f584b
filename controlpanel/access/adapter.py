"""How the sign-in library meets this panel."""

from allauth.account.adapter import DefaultAccountAdapter


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request) -> bool:
        """People are invited by an administrator; nobody signs up."""
        return False

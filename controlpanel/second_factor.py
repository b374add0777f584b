"""How the sign-in library keeps second factors: sealed like every other stored secret."""

import base64

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.db import transaction

from servers.fields import is_current, seal, unseal

_CONTEXT = "mfa.authenticator.secret"


class SecondFactorAdapter(DefaultMFAAdapter):
    def encrypt(self, text: str) -> str:
        return base64.b64encode(seal(text.encode(), _CONTEXT)).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(base64.b64decode(encrypted_text), _CONTEXT).decode()


def reseal() -> int:
    """Moves every second factor to the newest key of the ring. Returns how many secrets changed."""
    moved = 0
    adapter = SecondFactorAdapter()
    for pk in Authenticator.objects.values_list("pk", flat=True):
        with transaction.atomic():
            factor = Authenticator.objects.select_for_update().get(pk=pk)
            for name in ("secret", "seed"):
                sealed = factor.data.get(name)
                if sealed and not is_current(base64.b64decode(sealed)):
                    factor.data[name] = adapter.encrypt(adapter.decrypt(sealed))
                    moved += 1
            factor.save(update_fields=["data"])
    return moved

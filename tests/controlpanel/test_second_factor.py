import base64
import io
import json

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core.management import call_command

pytestmark = pytest.mark.django_db


def test_second_factors_work_and_lie_sealed_in_the_database(administrator):
    secret = generate_totp_secret()
    TOTP.activate(administrator, secret)
    codes = RecoveryCodes.activate(administrator)
    seed = codes.generate_codes()
    stored = json.dumps(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in stored
    assert all(code not in stored for code in seed)
    kept = Authenticator.objects.get(user=administrator, type=Authenticator.Type.TOTP).wrap()
    assert kept.instance.data["secret"] != secret
    assert Authenticator.objects.get(type=Authenticator.Type.RECOVERY_CODES).wrap().validate_code(seed[0])


def test_second_factors_move_to_a_new_key(administrator, settings):
    old, new = settings.VAULT_KEYS[0], ("k9", base64.urlsafe_b64encode(bytes(32)).decode())
    codes = RecoveryCodes.activate(administrator).generate_codes()
    settings.VAULT_KEYS = [new, old]
    call_command("rotate_keys", stdout=io.StringIO())
    settings.VAULT_KEYS = [new]
    kept = Authenticator.objects.get(type=Authenticator.Type.RECOVERY_CODES).wrap()
    assert kept.validate_code(codes[0])

import base64
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from servers.remote import keypair
from servers.remote.errors import KeyUnusable


def test_a_generated_key_is_what_ssh_keygen_says(tmp_path):
    private, public = keypair.generate("panel on relay")
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_bytes(private.reveal())
    derived = subprocess.run(
        ["ssh-keygen", "-y", "-f", path], capture_output=True, text=True, check=True
    ).stdout.split()
    listed = subprocess.run(["ssh-keygen", "-lf", path], capture_output=True, text=True, check=True).stdout.split()
    assert public.split()[:2] == derived[:2]
    assert public.endswith("panel on relay")
    assert keypair.fingerprint(derived[1]) == listed[1]


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("form", ["RFC4716", "PEM", "PKCS8"])
def test_pasted_keys_are_accepted_however_they_were_copied(tmp_path, kind, form):
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-m", form, "-N", "", "-f", path], check=True)
    pasted = "\ufeff  " + path.read_text().replace("\n", "\r\n") + "\n\n"
    accepted = keypair.accept(pasted)
    public = (tmp_path / "key.pub").read_text().split()[:2]
    assert keypair.authorized_line(accepted).split() == public


def pem(key) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


@pytest.mark.parametrize("form", ["RFC4716", "PEM", "PKCS8"])
def test_a_passphrase_is_named(tmp_path, form):
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-m", form, "-N", "secret", "-f", path], check=True)
    with pytest.raises(KeyUnusable, match="passphrase"):
        keypair.accept(path.read_text())


def test_unsupported_keys_say_so():
    for key in (dsa.generate_private_key(2048), ec.generate_private_key(ec.SECP256K1())):
        with pytest.raises(KeyUnusable, match="not supported"):
            keypair.accept(pem(key))
    with pytest.raises(KeyUnusable, match="only 1024 bits"):
        keypair.accept(pem(rsa.generate_private_key(65537, 1024)))


@pytest.mark.parametrize(
    "text", ["", "hello", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----"]
)
def test_nonsense_is_refused(text):
    with pytest.raises(KeyUnusable):
        keypair.accept(text)


def test_a_public_key_is_recognised():
    with pytest.raises(KeyUnusable, match="public half"):
        keypair.accept(keypair.generate()[1])


def test_a_comment_cannot_add_a_second_key():
    _, line = keypair.generate("a\nssh-ed25519 AAAA evil")
    assert "\n" not in line


def test_fingerprint_wants_base64():
    with pytest.raises(ValueError, match="base64"):
        keypair.fingerprint("not base64!")
    assert keypair.fingerprint(base64.b64encode(b"x").decode()).startswith("SHA256:")

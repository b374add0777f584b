"""SSH keys as text: made, read, named. The only importer of the cryptography library on this floor."""

import base64
import binascii
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from servers.remote import clean
from servers.remote.errors import KeyUnusable
from servers.remote.secret import Secret

_OPENSSH = serialization.PrivateFormat.OpenSSH
_PEM = serialization.Encoding.PEM
_CURVES = {"secp256r1", "secp384r1", "secp521r1"}
SMALLEST_RSA = 2048


def generate(comment: str = "") -> tuple[Secret, str]:
    """A new Ed25519 key: its private half in OpenSSH form, its public half as one authorized_keys line."""
    key = ed25519.Ed25519PrivateKey.generate()
    private = Secret(key.private_bytes(_PEM, _OPENSSH, serialization.NoEncryption()))
    return private, authorized_line(private, comment)


def accept(pasted: bytes | str | Secret) -> Secret:
    """A pasted private key (OpenSSH, PKCS#1, PKCS#8 or SEC1) in OpenSSH form. Raises KeyUnusable."""
    return Secret(_load(pasted).private_bytes(_PEM, _OPENSSH, serialization.NoEncryption()))


def authorized_line(private: Secret, comment: str = "") -> str:
    """The line for the server's authorized_keys. Raises KeyUnusable."""
    public = _load(private).public_key()
    words = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    return f"{words} {clean.line(comment)}".strip()


def fingerprint(body: str) -> str:
    """`SHA256:…` as ssh-keygen prints it, from the base64 body of a public key. Raises ValueError."""
    try:
        blob = base64.b64decode(body, validate=True)
    except binascii.Error:
        raise ValueError("the key body is not base64") from None
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _load(pasted: bytes | str | Secret):
    data = _normal(pasted)
    if not data.startswith(b"-----BEGIN "):
        looks_public = data.startswith((b"ssh-", b"ecdsa-"))
        raise KeyUnusable("This is the public half of a key; the private half is needed." if looks_public else "")
    openssh = b"BEGIN OPENSSH PRIVATE KEY" in data
    load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    try:
        key = load(data, password=None)
    except TypeError:
        raise KeyUnusable(
            "The private key is protected by a passphrase.",
            "Remove the passphrase from a copy with `ssh-keygen -p -f copy`, and paste the copy.",
        ) from None
    except (ValueError, UnsupportedAlgorithm, binascii.Error):
        # Old "Proc-Type: 4,ENCRYPTED" files and damaged ones fail alike inside the library.
        message = (
            "The private key is protected by a passphrase." if b"ENCRYPTED" in data else "The private key is damaged."
        )
        raise KeyUnusable(message) from None
    return _supported(key)


def _supported(key):
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < SMALLEST_RSA:
            raise KeyUnusable(f"The RSA key has only {key.key_size} bits.", "Use a new Ed25519 key.")
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return key
    raise KeyUnusable("This kind of key is not supported.")


def _normal(pasted: bytes | str | Secret) -> bytes:
    if isinstance(pasted, Secret):
        pasted = pasted.reveal()
    data = pasted.encode("utf-8", "replace") if isinstance(pasted, str) else pasted
    # Web forms send CRLF, editors add a byte order mark, people copy with leading blanks.
    lines = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").strip().split(b"\n")
    return b"\n".join(part.strip() for part in lines) + b"\n"

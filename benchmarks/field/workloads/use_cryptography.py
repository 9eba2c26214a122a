"""cryptography: a text is encrypted, signed and verified; a wrong signature is refused."""

import contextlib

from cryptography.exceptions import InvalidSignature
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def job() -> None:
    """Two keys' lives."""
    box = Fernet(Fernet.generate_key())
    assert box.decrypt(box.encrypt(b"text" * 100)) == b"text" * 100
    key = Ed25519PrivateKey.generate()
    signature = key.sign(b"text")
    key.public_key().verify(signature, b"text")
    with contextlib.suppress(InvalidSignature):
        key.public_key().verify(signature, b"other")

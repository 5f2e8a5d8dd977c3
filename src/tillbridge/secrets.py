"""What must not be readable in a stolen file: sealed with AES-256-GCM, bound to the row it belongs to.

The key comes from `TILLBRIDGE_KEY` (32 bytes in base64) or from a 0600 file in
the home directory. `blind` turns an identity key (an e-mail, a phone) into a
keyed hash, so that people can be looked up without being listed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tillbridge.model.errors import ConfigurationInvalid

KEY_FILE = "key"
KEY_VARIABLE = "TILLBRIDGE_KEY"
_NONCE_BYTES = 12


class Vault:
    """Seals and opens. `place` names the row: a blob moved elsewhere does not open."""

    def __init__(self, key: bytes, where: str = KEY_VARIABLE) -> None:
        self._where = where
        self._aead = AESGCM(hmac.digest(key, b"tillbridge seal 1", "sha256"))
        self._blind = hmac.digest(key, b"tillbridge blind 1", "sha256")
        self._sign = hmac.digest(key, b"tillbridge sign 1", "sha256")

    def seal(self, plain: bytes, place: str) -> bytes:
        """Encrypt for one place."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """Decrypt what was sealed for this place. Raises ConfigurationInvalid when the key is another one."""
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.encode())
        except InvalidTag:
            raise ConfigurationInvalid(
                [
                    (
                        self._where,
                        "does not open what is stored: it is another key than the one it was stored with",
                    )
                ]
            ) from None

    def blind(self, text: str) -> bytes:
        """Hash an identity key: equal keys meet, and nobody can read them back."""
        return hashlib.blake2b(text.encode(), key=self._blind, digest_size=16).digest()

    def sign(self, document: bytes) -> str:
        """Sign a document, so that we know it again as ours and unchanged."""
        return hmac.digest(self._sign, document, "sha256").hex()

    def is_signed(self, document: bytes, signature: str) -> bool:
        """Say whether we have signed this very document."""
        return hmac.compare_digest(self.sign(document), signature)


def open_vault(home: Path, env: Mapping[str, str] = os.environ) -> Vault:
    """Open the vault of a home directory; where nothing was ever sealed, make a key in a 0600 file.

    Raises ConfigurationInvalid when the key that sealed what is there is missing.
    """
    if text := env.get(KEY_VARIABLE):
        return Vault(_decode(text, KEY_VARIABLE))
    path = home / KEY_FILE
    if not path.exists():
        if _holds_sealed(home / _STATE_FILE):
            text = (
                f"is missing, and {_STATE_FILE} beside it was sealed with a key: put the file back from your "
                f"backup, or set {KEY_VARIABLE} if the key was there"
            )
            raise ConfigurationInvalid([(str(path), text)])
        _make(path)
    if path.stat().st_mode & 0o077:
        raise ConfigurationInvalid([(str(path), "may be read by others; run chmod 600 on it")])
    return Vault(_decode(path.read_text(encoding="ascii", errors="replace"), str(path)), str(path))


# Whoever has read or written anything has sealed something in one of these (see store.schema).
_STATE_FILE = "tillbridge.sqlite"
_SEALED = tuple(f"SELECT 1 FROM {table} LIMIT 1" for table in ("token", "raw", "person", "verdict", "spool"))  # noqa: S608  Names of our own.


def _holds_sealed(state: Path) -> bool:
    """Say whether a state file holds what only its key can open. One that cannot be read may well do."""
    if not state.exists() or not state.stat().st_size:
        return False
    with closing(sqlite3.connect(f"{state.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        for statement in _SEALED:
            try:
                if connection.execute(statement).fetchone():
                    return True
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    return True
            except sqlite3.DatabaseError:
                return True
    return False


def _make(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(base64.b64encode(os.urandom(32)).decode() + "\n")
        file.flush()
        os.fsync(file.fileno())


def _decode(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise ConfigurationInvalid(
            [(where, "must hold 32 bytes in base64, e.g. from `openssl rand -base64 32`")]
        )
    return key

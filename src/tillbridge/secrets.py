"""What must not be readable in a stolen file: sealed with AES-256-GCM, bound to the row it belongs to.

The key comes from `TILLBRIDGE_KEY` (32 bytes in base64) or from a 0600 file in
the home directory. `blind` turns an identity key (an e-mail, a phone) into a
keyed hash, so that people can be looked up without being listed.

Everything is bound to its connection too: what was sealed for one does not open
for another, also where all share one key. A change of the key leaves hashes and
signatures as they are, for what they were made of is gone: their keys are handed
on, sealed with the new key (see `lasting`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tillbridge.model.errors import ConfigurationInvalid

KEY_FILE = "key"
KEY_VARIABLE = "TILLBRIDGE_KEY"

# While a key is being changed: the next one of a key file, and who may not work meanwhile.
NEXT_KEY_FILE = "key.next"
CHANGING_FILE = "key.changing"

# Where a connection's state keeps the keys of its hashes and signatures, once its key was changed.
LASTING = "lasting_keys"

_NONCE_BYTES = 12
_LASTING_BYTES = 64
_CONNECTIONS = "connections"


class Vault:
    """Seals and opens. `place` names the row: a blob moved elsewhere does not open."""

    def __init__(self, key: bytes, where: str = KEY_VARIABLE, connection: str = "") -> None:
        self._where = where
        self._bound = f"connection {connection}\n" if connection else ""
        self._aead = AESGCM(hmac.digest(key, b"tillbridge seal 1", "sha256"))
        whose = self._bound.encode()
        self._blind = hmac.digest(key, b"tillbridge blind 1" + whose, "sha256")
        self._sign = hmac.digest(key, b"tillbridge sign 1" + whose, "sha256")
        self.mark = hmac.digest(key, b"tillbridge mark 1", "sha256").hex()[
            :16
        ]  # names the key, tells nothing

    def lasting(self) -> bytes:
        """Return the keys of hashes and signatures, to be handed on when the key changes."""
        return self._blind + self._sign

    def inherit(self, lasting: bytes) -> None:
        """Take over the keys of hashes and signatures from the vault of an earlier key."""
        half = _LASTING_BYTES // 2
        self._blind, self._sign = lasting[:half], lasting[half:]

    def inherit_kept(self, kept: object) -> Vault:
        """Take over what a state keeps as its LASTING fact, if it keeps anything; return this vault."""
        if isinstance(kept, str):
            self.inherit(self.open(base64.b64decode(kept), f"fact {LASTING}"))
        return self

    def seal(self, plain: bytes, place: str) -> bytes:
        """Encrypt for one place."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plain, self._aad(place))

    def _aad(self, place: str) -> bytes:
        return f"{self._bound}{place}".encode()

    def open(self, sealed: bytes, place: str) -> bytes:
        """Decrypt what was sealed for this place. Raises ConfigurationInvalid when the key is another one."""
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._aad(place))
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


def connection_of(home: Path) -> str:
    """Return the name that a home's secrets are bound to; "" for a home that is an installation by itself."""
    return home.name if home.parent.name == _CONNECTIONS else ""


def open_vault(home: Path, env: Mapping[str, str] = os.environ) -> Vault:
    """Open the vault of a home directory; where nothing was ever sealed, make a key in a 0600 file.

    Raises ConfigurationInvalid when the key that sealed what is there is missing, or is being changed.
    """
    if (home / CHANGING_FILE).exists():
        text = "the key is being changed, or that was interrupted: `tillbridge key rotate` ends it"
        raise ConfigurationInvalid([(str(home / CHANGING_FILE), text)])
    if given := env.get(KEY_VARIABLE):
        return vault_of(given, KEY_VARIABLE, home)
    path = home / KEY_FILE
    if not path.exists():
        if _holds_sealed(home / _STATE_FILE) or (home / SECRETS_FILE).exists():
            text = (
                f"is missing, and {_STATE_FILE} beside it was sealed with a key: put the file back from your "
                f"backup, or set {KEY_VARIABLE} if the key was there"
            )
            raise ConfigurationInvalid([(str(path), text)])
        make_key(path)
    return vault_in(path, home)


def vault_in(path: Path, home: Path) -> Vault:
    """Return the vault of a key file. Raises ConfigurationInvalid when others may read it."""
    if path.stat().st_mode & 0o077:
        raise ConfigurationInvalid([(str(path), "may be read by others; run chmod 600 on it")])
    return vault_of(path.read_text(encoding="ascii", errors="replace"), str(path), home)


def vault_of(text: str, where: str, home: Path) -> Vault:
    """Return the vault of a key as it is written. Raises ConfigurationInvalid when it is none."""
    return Vault(_decode(text, where), where, connection_of(home))


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


def make_key(path: Path, text: str | None = None) -> None:
    """Write a key, a new one unless it is given; it is on the disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write((text or base64.b64encode(os.urandom(32)).decode()).strip() + "\n")
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


# --- secrets of the configuration, kept sealed ----------------------------------------------------

SECRETS_FILE = "secrets.json"
_SECRET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class SealedSecrets:
    """What tillbridge.toml names as {secret = "NAME"}; a file beside it holds them sealed."""

    def __init__(self, home: Path, vault: Vault) -> None:
        self._path = home / SECRETS_FILE
        self._vault = vault

    def names(self) -> list[str]:
        """Return the names of all."""
        return sorted(self._read())

    def get(self, name: str) -> str | None:
        """Open one."""
        kept = self._read().get(name)
        return (
            None if kept is None else self._vault.open(base64.b64decode(kept), _secret_place(name)).decode()
        )

    def set(self, name: str, value: str) -> None:
        """Seal one; it is on the disk when this returns. Raises ConfigurationInvalid for a bad name."""
        if not _SECRET_NAME.fullmatch(name):
            reason = (
                "is no name: letters, digits, dots, dashes and underscores, such as salesforce.client_secret"
            )
            raise ConfigurationInvalid([(name, reason)])
        self._write({**self._read(), name: self._sealed(self._vault, name, value.encode())})

    def remove(self, name: str) -> bool:
        """Forget one; False when there was none."""
        kept = self._read()
        if name not in kept:
            return False
        self._write({each: text for each, text in kept.items() if each != name})
        return True

    def reseal(self, new: Vault) -> int:
        """Seal all with another key, also where some were before; return how many there are."""
        kept = self._read()
        if not kept:
            return 0
        resealed = {}
        for name, text in kept.items():
            sealed = base64.b64decode(text)
            if opens(new, sealed, _secret_place(name)):
                resealed[name] = text
            else:
                resealed[name] = self._sealed(new, name, self._vault.open(sealed, _secret_place(name)))
        self._write(resealed)
        return len(resealed)

    @staticmethod
    def _sealed(vault: Vault, name: str, plain: bytes) -> str:
        return base64.b64encode(vault.seal(plain, _secret_place(name))).decode()

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ConfigurationInvalid([(str(self._path), f"cannot be read: {error}")]) from error
        if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
            raise ConfigurationInvalid([(str(self._path), "is not what Tillbridge wrote")])
        return found

    def _write(self, kept: Mapping[str, str]) -> None:
        replace_file(self._path, json.dumps(dict(sorted(kept.items())), indent=1) + "\n")


class SecretLookup:
    """Finds the secrets that a configuration names; the key is asked for only when one is named."""

    def __init__(self, home: Path, env: Mapping[str, str]) -> None:
        self._home, self._env = home, env
        self._secrets: SealedSecrets | None = None

    def __call__(self, name: str) -> str | None:
        """Return a secret; None when there is none of that name."""
        if self._secrets is None:
            self._secrets = SealedSecrets(self._home, open_vault(self._home, self._env))
        return self._secrets.get(name)


def opens(vault: Vault, sealed: bytes, place: str) -> bool:
    """Say whether a vault's key has sealed this, for this place."""
    try:
        vault.open(sealed, place)
    except ConfigurationInvalid:
        return False
    return True


def _secret_place(name: str) -> str:
    return f"secret {name}"


def replace_file(path: Path, text: str) -> None:
    """Replace a file whole, for its owner's eyes: a power cut leaves the old one or the new one."""
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Let new names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

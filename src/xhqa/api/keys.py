"""API keys: who may ask, and who may change the documents too."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from xhqa.errors import InputError

Role = Literal["ask", "manage"]

# What a key must have where nothing slows down those who guess.
_MIN_CHARACTERS = 16
_HASHED = re.compile(r"sha256:([0-9a-f]{64})")
_PURPOSE = b"xhqa page"


@dataclass(frozen=True, slots=True)
class Key:
    """``digest`` is the SHA-256 of the secret, which is not kept."""

    role: Role
    digest: bytes

    @property
    def name(self) -> str:
        """What logs call it; nobody gets from this to the secret."""
        return f"{self.role}-{self.digest.hex()[:8]}"

    @property
    def token(self) -> str:
        """What a browser keeps in place of the secret: good for this server's page alone, until
        the key is taken away."""
        return hmac.new(self.digest, _PURPOSE, hashlib.sha256).hexdigest()


def parse_keys(text: str) -> tuple[Key, ...]:
    """The keys in ``role:secret, role:sha256:HEX``; raises InputError, which repeats no secret."""
    keys = []
    for number, entry in enumerate(filter(None, re.split(r"[\s,]+", text)), 1):
        role, _, secret = entry.partition(":")
        if role not in get_args(Role) or not secret:
            raise InputError(
                f"XHQA_API_KEYS: entry {number} is not ask:SECRET or manage:SECRET (or "
                "…:sha256:HEX, the SHA-256 of the secret)"
            )
        if hashed := _HASHED.fullmatch(secret):
            digest = bytes.fromhex(hashed[1])
        elif secret.startswith("sha256:"):
            raise InputError(f"XHQA_API_KEYS: entry {number}: sha256: takes 64 digits of 0-9a-f")
        elif len(secret) < _MIN_CHARACTERS:
            raise InputError(
                f"XHQA_API_KEYS: entry {number} has under {_MIN_CHARACTERS} characters: make one "
                "with `openssl rand -hex 24`"
            )
        else:
            digest = hashlib.sha256(secret.encode()).digest()
        keys.append(Key("ask" if role == "ask" else "manage", digest))
    return tuple(keys)


def key_of_secret(keys: Sequence[Key], secret: str) -> Key | None:
    """The key whose secret this is; in the same time whichever it is, and if it is none."""
    return _matching(keys, hashlib.sha256(secret.encode("utf-8", "replace")).digest(), digests=True)


def key_of_token(keys: Sequence[Key], token: str) -> Key | None:
    """The key whose token this is; likewise."""
    return _matching(keys, token.encode("utf-8", "replace"), digests=False)


def _matching(keys: Sequence[Key], given: bytes, *, digests: bool) -> Key | None:
    found = None
    for key in keys:
        if hmac.compare_digest(key.digest if digests else key.token.encode(), given):
            found = key
    return found

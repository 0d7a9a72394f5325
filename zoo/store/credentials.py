"""Credentials: a token for a registry, for its own origin and for nobody else.

They are looked for in `ZOO_TOKEN_<NAME>`, then in netrc, then (once the server has refused) in the system's
keyring, if the package `keyring` is installed: `keyring set zoo https://models.example.org`. They are in no
file of zoo's and in no message.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from pathlib import Path

from zoo.errors import InvalidValue
from zoo.store.addresses import Origin

_TOKEN = re.compile(r"[!-~]+\Z")  # what may stand in a header: visible ASCII


class Credentials:
    """What a registry's server may be told.

    Args:
        origin: The registry's own; the caller sends nothing of this to another.
        registry: The registry's name, if it has one.
    """

    def __init__(self, origin: Origin, registry: str | None) -> None:
        self.origin = origin
        self._variable = f"ZOO_TOKEN_{registry.upper()}" if registry else None

    def header(self) -> str | None:
        """The header `Authorization` for a first request; None if there are no credentials.

        Raises:
            InvalidValue: There is a token, but it is malformed, or would go over plain http.
        """
        token = os.environ.get(self._variable, "").strip() if self._variable else ""
        if token:
            if not self._may_be_told():
                raise InvalidValue(
                    f"{self._variable} is not sent to {self.origin}: over http anybody on the way could read it. "
                    "Use https, or set ZOO_TOKEN_OVER_HTTP=1 if you trust the whole way."
                )
            return _bearer(token, str(self._variable))
        return self._from_netrc() if self._may_be_told() else None

    def from_keyring(self) -> str | None:
        """The header `Authorization` from the system's keyring; None if it has none for this origin."""
        from importlib.util import find_spec

        if not self._may_be_told() or find_spec("keyring") is None:
            return None
        import keyring
        from keyring.errors import KeyringError

        try:
            token = keyring.get_password("zoo", str(self.origin))
        except (
            KeyringError
        ):  # none on this machine, or it is locked: the server has refused already
            return None
        return _bearer(token, "The keyring's token") if token else None

    def advice(self) -> str:
        """Where to put credentials, for the message of a refusal."""
        variable = self._variable or "ZOO_TOKEN_<NAME of the registry>"
        return f"If it needs credentials, set {variable}, or add {self.origin.host} to netrc."

    def _from_netrc(self) -> str | None:
        from netrc import NetrcParseError, netrc

        path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
        try:
            # Not `authenticators`, which gives the entry `default` to whoever asks.
            entry = netrc(path).hosts.get(self.origin.host)
        except OSError:
            return None
        except (NetrcParseError, UnicodeDecodeError) as error:
            line = f" at line {error.lineno}" if isinstance(error, NetrcParseError) else ""
            raise InvalidValue(f"{path} cannot be understood{line}; mend it.") from None
        if entry is None:
            return None
        login, _, password = entry
        return f"Basic {b64encode(f'{login}:{password}'.encode()).decode('ascii')}"

    def _may_be_told(self) -> bool:
        trusted = os.environ.get("ZOO_TOKEN_OVER_HTTP") == "1"
        return self.origin.scheme == "https" or self.origin.is_loopback or trusted


def _bearer(token: str, source: str) -> str:
    if not _TOKEN.match(token):
        raise InvalidValue(
            f"{source} holds spaces or characters that no header can hold; is it cut right?"
        )
    return f"Bearer {token}"

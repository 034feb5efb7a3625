"""The token endpoint: access tokens of a chosen life, refresh tokens that are good once.

Invariant: at any time at most one refresh token of a sign-in is good, unless `refresh_once` is off.
"""

import secrets
import threading
import time

from settings import Settings


class Tokens:
    """The sign-ins of one account."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.given = 0
        self.lock = threading.Lock()
        self._access: dict[str, float] = {}
        self._refresh: set[str] = set()

    def sign_in(self) -> dict:
        """A new pair of tokens, as after a sign-in in a browser."""
        with self.lock:
            return self._pair()

    def _pair(self) -> dict:
        access, refresh = f"eyJ0.{secrets.token_urlsafe(24)}", f"M.R3_{secrets.token_urlsafe(24)}"
        self._access[access] = time.time() + self.settings.token_life
        self._refresh.add(refresh)
        return {
            "token_type": "Bearer",
            "scope": "Files.ReadWrite.All offline_access",
            # Go takes 0 for "never".
            "expires_in": max(1, int(self.settings.token_life)),
            "access_token": access,
            "refresh_token": refresh,
        }

    def renew(self, form: dict[str, str]) -> tuple[int, dict]:
        """The answer to a request for new tokens."""
        if form.get("grant_type") != "refresh_token":
            return 400, {"error": "unsupported_grant_type", "error_description": "AADSTS70003: only refresh_token"}
        with self.lock:
            refresh = form.get("refresh_token", "")
            if refresh not in self._refresh:
                return 400, {
                    "error": "invalid_grant",
                    "error_description": "AADSTS70000: The provided value for the input parameter 'refresh_token' is not valid.",
                }
            if self.settings.refresh_once:
                self._refresh.discard(refresh)
            self.given += 1
            return 200, self._pair()

    def good(self, header: str) -> bool:
        """True if an Authorization header holds an access token that has not expired."""
        with self.lock:
            kind, _, token = header.partition(" ")
            return kind.lower() == "bearer" and self._access.get(token, 0) > time.time()

    def revoke(self):
        """Ends all sign-ins, as a changed password does. An access token stays good until its end, as Microsoft says."""
        with self.lock:
            self._refresh.clear()

    def expire(self):
        """Ends all access tokens now; refresh tokens stay good."""
        with self.lock:
            self._access.clear()

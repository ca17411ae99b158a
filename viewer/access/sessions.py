"""Sessions of readers who signed in. They are kept in the store, so that every viewer can end them."""

import hashlib
import secrets
import time
from collections.abc import Iterable, Iterator

from itsdangerous import Signer

from pipeline.retry import DATABASE_ERRORS
from pipeline.store.connection import Database

# Since signing in, however much the session is used.
SESSION_SECONDS = 12 * 3600
STREAM_CHECK_SECONDS = 30


class ForgedCookie(Exception):
    """The cookie was not made by a viewer with this token."""


class Sessions:
    """Sessions that began with one token; another token makes their cookies forged ones.

    Cookies are signed, so that a forged one costs no query. Methods raise psycopg.OperationalError while the
    store cannot be reached.
    """

    def __init__(self, database: Database, token: str) -> None:
        """Keep the sessions in this database."""
        self._database = database
        # Whoever steals a cookie could try out tokens on its signature: scrypt makes each try expensive.
        key = hashlib.scrypt(token.encode(), salt=b"fanout session", n=2**14, r=8, p=1)
        self._signer = Signer(key, salt=b"fanout session", digest_method=hashlib.sha256)

    def begin(self) -> str:
        """Return the cookie of a new session."""
        cookie = self._signer.sign(secrets.token_urlsafe(32)).decode()
        with self._database.connection() as connection:
            connection.execute("DELETE FROM sessions WHERE ends_at < now()")
            connection.execute(
                "INSERT INTO sessions (digest, ends_at) VALUES (%s, now() + make_interval(secs => %s))",
                [_digest(cookie), SESSION_SECONDS],
            )
        return cookie

    def is_open(self, cookie: str) -> bool:
        """Tell whether the session of this cookie has neither ended nor expired. Raises ForgedCookie."""
        if not self._signer.validate(cookie):
            raise ForgedCookie
        with self._database.connection() as connection:
            found = connection.execute(
                "SELECT FROM sessions WHERE digest = %s AND ends_at > now()", [_digest(cookie)]
            )
            return found.rowcount > 0

    def end(self, cookie: str) -> None:
        """End the session of this cookie, if there is one."""
        if not self._signer.validate(cookie):
            return
        with self._database.connection() as connection:
            connection.execute("DELETE FROM sessions WHERE digest = %s", [_digest(cookie)])

    def while_open(self, cookie: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield chunks of a stream until the session has ended; it is looked up every half a minute."""
        checked = time.monotonic()
        try:
            for chunk in chunks:
                yield chunk
                if time.monotonic() - checked >= STREAM_CHECK_SECONDS:
                    checked = time.monotonic()
                    if self._has_ended(cookie):
                        return
        finally:
            if close := getattr(chunks, "close", None):
                close()

    def _has_ended(self, cookie: str) -> bool:
        try:
            return not self.is_open(cookie)
        except DATABASE_ERRORS:
            return False  # nor is there a message to send


def _digest(cookie: str) -> bytes:
    """Return what is stored: whoever reads the store cannot sign in with it."""
    return hashlib.sha256(cookie.encode("utf-8", "replace")).digest()

"""The application that a server calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application
from waitress.proxy_headers import proxy_headers_middleware

from appion.base.config import setting
from appion.web.security import FROM_PROXY
from appion.web.settings import applySettings

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

#: What a proxy may say of the one who asks.
TRUSTED = {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}


def constructApplication(hosts: Iterable[str] = ()) -> Application:
    """Return the pages as an application; what a proxy says counts if it comes from the address that is set."""
    applySettings([*map(str, setting("web.hosts")), *hosts], findPrefix())
    proxy = setting("web.proxy")
    inner = get_wsgi_application()
    trusting = proxy_headers_middleware(
        inner, trusted_proxy=proxy, trusted_proxy_count=1, trusted_proxy_headers=TRUSTED if proxy else None,
        clear_untrusted=True,
    )  # fmt: skip

    def answer(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        environ[FROM_PROXY] = proxy is not None and environ.get("REMOTE_ADDR") == proxy
        return trusting(environ, start)

    return answer


def findPrefix() -> str:
    """Return the path below which everything is: empty, or with a slash at its beginning alone."""
    words = setting("web.prefix").strip("/")
    return f"/{words}" if words else ""

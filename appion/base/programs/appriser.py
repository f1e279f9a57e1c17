"""A process that hands one message to a service that apprise knows: python -m appion.base.programs.appriser

It reads JSON from its standard input: `service`, the address; `title` and `body`, without which the address is only
looked at. The exit code says whether it went well; what is printed shows nothing of the address but the service's name.
"""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from urllib.parse import unquote

import apprise

#: What parts an address.
PARTS = re.compile(r"[/:@?&=#,;+]+")


def main() -> int:
    """Do what standard input asks for."""
    asked = json.load(sys.stdin)
    service, words = asked["service"], io.StringIO()
    handler = logging.StreamHandler(words)
    logger = logging.getLogger("apprise")
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    receiver = apprise.Apprise()
    if not receiver.add(service):
        print("apprise does not know such an address; https://github.com/caronc/apprise/wiki has all that there are")
        return 2
    if "body" not in asked:
        return 0
    if receiver.notify(title=asked["title"], body=asked["body"], body_format=apprise.NotifyFormat.TEXT):
        return 0
    said = " ".join(words.getvalue().split())
    print(f"{receiver[0].service_name}: {hideParts(said, service) or 'the message was not taken'}")
    return 1


def hideParts(text: str, address: str) -> str:
    """Return a text without any part of an address: user, password, token and host alike."""
    parts = {part for whole in (address, unquote(address)) for part in PARTS.split(whole.partition("://")[2])}
    for part in sorted((part for part in parts if len(part) > 2), key=len, reverse=True):
        text = text.replace(part, "...")
    return text


if __name__ == "__main__":
    sys.exit(main())

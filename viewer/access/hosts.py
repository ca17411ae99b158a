"""The host names that the viewer answers to.

Without a token, the name is all that tells the viewer's own pages from those of another website. A site can
let its name resolve to the viewer's address ("DNS rebinding"); the browser then takes the site's pages for
the viewer's. That works neither with an IP address nor with the name localhost.
"""

import ipaddress
import re
from collections.abc import Collection

# A port may follow ("Host", RFC 9110). What no browser sends, such as a user name, does not match.
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@/?#\\\s]+)(:[0-9]*)?", re.IGNORECASE)


def may_name_the_viewer(host: str, allowed: Collection[str]) -> bool:
    """Tell whether a request with this Host header may be answered without a token.

    `allowed` are further names, in lower case. A request without a host does not come from a browser.
    """
    if not host:
        return True
    match = HOST.fullmatch(host)
    if not match:
        return False
    name = match[1].lower().removesuffix(".")
    return name == "localhost" or name in allowed or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        if name.startswith("["):
            ipaddress.IPv6Address(name[1:-1])
        else:
            ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True

"""`make unwatch`: removes what a `make watch` that crashed has left on the endpoint."""

import sys

from local.settings import WatchSettings
from local.watch import prepare_access, remove
from pipeline.settings import load_settings


def main() -> int:
    """Remove the tap; return 1 if that fails."""
    settings = load_settings(WatchSettings)
    prepare_access()
    return remove(settings.tap_name)


if __name__ == "__main__":
    sys.exit(main())

"""A small share of `make attack`: every kind of attack, on a system of its own."""

import os
import subprocess
import sys

import pytest

from tests.attack.__main__ import ATTACKS

SHARE = "0.02"


@pytest.mark.parametrize("kinds", [[*ATTACKS][::2], [*ATTACKS][1::2]], ids="-".join)
def test_every_rule_holds_under_a_small_share_of_every_attack(kinds: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.attack", "--share", SHARE, *kinds],
        env={**os.environ, "EMULATOR": "ministack"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

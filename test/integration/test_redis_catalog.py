"""The router's own table of Redis commands says what each server says of itself."""
import os
import subprocess

import pytest

from lib import redis_versions

PROJECT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("ROUTER_BUILD", os.path.join(PROJECT, "build"))


@pytest.mark.parametrize("name", list(redis_versions.UNPACKED))  # for our own it is a unit test
def test_its_command_and_our_table_agree(name):
    done = subprocess.run([os.path.join(BUILD, "unit", "test_redis_catalog_server"),
                           *redis_versions.program(name)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 test(s) run" in done.stdout

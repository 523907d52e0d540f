"""Runs each C unit test binary as one test. ROUTER_BUILD names the build directory."""
import os
import subprocess

import pytest

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
BUILD = os.environ.get("ROUTER_BUILD", os.path.join(ROOT, "build"))
SOURCES = os.path.join(ROOT, "test", "unit")
pytestmark = pytest.mark.sanitize
NAMES = sorted(name[:-2] for name in os.listdir(SOURCES)
               if name.startswith("test_") and name.endswith(".c"))


@pytest.mark.parametrize("name", NAMES)
def test_unit(name):
    binary = os.path.join(BUILD, "unit", name)
    assert os.path.exists(binary), f"{binary}: run `make unit` first"
    done = subprocess.run([binary], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=300, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]

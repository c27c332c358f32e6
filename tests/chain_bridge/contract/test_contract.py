"""The contract's own tests, in Rust; they run where a Rust toolchain is."""

import shutil
import subprocess

import pytest

from tests.support.paths import REPOSITORY

CONTRACT = REPOSITORY / "chain_bridge" / "contract"


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.skipif(shutil.which("cargo") is None, reason="no Rust toolchain here; install one with rustup")
def test_the_contract_keeps_its_promises():
    done = subprocess.run(
        ["cargo", "test", "--locked", "--quiet"], cwd=CONTRACT, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-4000:]}"
    assert "test result: ok" in done.stdout

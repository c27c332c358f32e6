"""One run at a time works on a job, in whatever process it runs."""

import subprocess
import sys
from contextlib import ExitStack

import pytest

from atlas.home import AtlasHome
from resources.errors import JobAtWork
from resources.jobs.job_lock import job_lock
from tests.support.paths import REPOSITORY

HOLD = """
import sys
from pathlib import Path
from atlas.home import AtlasHome
from resources.jobs.job_lock import job_lock
with job_lock("a", AtlasHome(Path(sys.argv[1])), "run-of-another-process"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path):
    return AtlasHome(tmp_path)


def test_ten_jobs_are_held_at_once_and_none_of_them_twice(home):
    with ExitStack() as held:
        for number in range(10):
            held.enter_context(job_lock(f"job-{number}", home, f"run-{number}"))
        for number in range(10):
            with (
                pytest.raises(JobAtWork, match=f"'job-{number}' is in progress in run run-{number}"),
                job_lock(f"job-{number}", home, "second"),
            ):
                pass
    with job_lock("job-3", home, "second"):
        pass


def test_another_process_holds_a_job_until_it_is_killed(home):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home.root)], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(JobAtWork, match="run-of-another-process"), job_lock("a", home, "mine"):
            pass
        other.kill()
        other.wait()
        with job_lock("a", home, "mine"):
            pass

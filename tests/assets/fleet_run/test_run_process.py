import subprocess
import sys

import pytest

from assets.fleet_run.run_process import has_died, process_tag

TELL = "from assets.fleet_run.run_process import process_tag; print(process_tag('run1'), flush=True); input()"


def test_a_run_is_dead_once_its_process_was_killed():
    process = subprocess.Popen([sys.executable, "-c", TELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    tag = process.stdout.readline().strip()
    assert not has_died("run1", tag)
    process.kill()
    process.communicate()
    assert has_died("run1", tag)


def test_a_process_id_that_is_used_again_is_another_process():
    tag = process_tag("run1").rpartition("/")[0]
    assert has_died("run1", f"{tag}/1.0")


def test_a_repeated_run_is_not_judged_by_the_tag_that_it_inherits():
    tag = process_tag("run1").rpartition("/")[0]
    assert not has_died("run2", f"{tag}/1.0")


@pytest.mark.parametrize("tag", ["", "run1", "run1/elsewhere/1/1.0", "nonsense", "a/b/c/d"])
def test_what_cannot_be_told_is_not_called_dead(tag):
    assert not has_died("run1", tag)

"""The executor with real processes: heard line by line, stopped, killed, never orphaned."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from atlas.ids import Cid
from node_agent.tasks.trainer_files import TASK_ENDED, TrainerCall
from node_agent.tasks.trainer_process import TrainerExit, parse_pipes, tail, trainer_environment
from node_agent.tasks.trainer_slot import Trainer, TrainerSlot
from tests.support.paths import REPOSITORY

PIPES = '{"__dagster_pipes_version": "0.1", "method": "log", "params": {"message": "%s"}}'
SPEAK = "def say(text): print(" + repr(PIPES) + " % text, flush=True)\n"
LISTEN = SPEAK + "import signal, sys, time\n"


class Heard:
    """What a trainer says, awaitable."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def __call__(self, message: dict[str, Any]) -> None:
        self.messages.put_nowait(message)

    async def next(self) -> str:
        message = await asyncio.wait_for(self.messages.get(), 30)
        return str(message["params"]["message"])


ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)}


def slot(code: str, keep_seconds: float = 0) -> TrainerSlot:
    return TrainerSlot([sys.executable, "-u", "-c", code], ENVIRONMENT, keep_seconds)


def task(slot: TrainerSlot, tmp_path: Path, heard: Heard, job: str | None = None) -> Trainer:
    call = TrainerCall(folder=tmp_path, log=tmp_path / "logs" / "trainer.log", pipes={})
    return Trainer(slot, call, None if job is None else Cid(job), heard)


def trainer(tmp_path: Path, code: str, heard: Heard) -> Trainer:
    return task(slot(code), tmp_path, heard)


async def test_pipes_lines_are_heard_and_the_rest_is_logged(tmp_path: Path) -> None:
    heard = Heard()
    code = SPEAK + "import sys\nprint('noise')\nsay('one')\nprint('oops', file=sys.stderr)\nsay('two')\nsys.exit(3)"
    end = await trainer(tmp_path, code, heard).run()
    assert [await heard.next(), await heard.next()] == ["one", "two"]
    assert end.code == 3
    assert not end.killed
    assert sorted(end.tail.split()) == ["noise", "oops"]
    assert sorted((tmp_path / "logs" / "trainer.log").read_text().split()) == ["noise", "oops"]


async def test_the_last_words_are_those_of_this_run_alone(tmp_path: Path) -> None:
    heard = Heard()
    await trainer(tmp_path, "print('first run')", heard).run()
    end = await trainer(tmp_path, "print('x' * 9000); print('the end')", heard).run()
    assert "first run" not in end.tail
    assert end.tail.endswith("the end")
    assert len(end.tail) <= 4000


async def test_a_trainer_can_be_run_again(tmp_path: Path) -> None:
    running = trainer(tmp_path, "import time; time.sleep(0.2)", Heard())
    assert [(await running.run()).code for _ in range(2)] == [0, 0]


async def test_a_trainer_may_save_its_work_on_sigterm(tmp_path: Path) -> None:
    heard = Heard()
    code = LISTEN + (
        "def stop(*_):\n say('saved')\n sys.exit(75)\nsignal.signal(signal.SIGTERM, stop)\nsay('up')\ntime.sleep(600)"
    )
    running = trainer(tmp_path, code, heard)
    end = asyncio.create_task(running.run())
    assert await heard.next() == "up"
    running.stop()
    assert (await end).code == 75
    assert await heard.next() == "saved"


async def test_a_stop_before_the_start_is_not_lost(tmp_path: Path) -> None:
    running = trainer(tmp_path, "import time; time.sleep(600)", Heard())
    running.stop()
    assert (await running.run()).code == -signal.SIGTERM


async def test_a_trainer_that_will_not_stop_is_killed_with_its_children(tmp_path: Path) -> None:
    heard = Heard()
    code = LISTEN + (
        "import subprocess\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], stdout=subprocess.DEVNULL)\n"
        "say(child.pid)\ntime.sleep(600)"
    )
    running = trainer(tmp_path, code, heard)
    end = asyncio.create_task(running.run())
    child = psutil.Process(int(await heard.next()))
    running.stop()
    running.kill()
    assert await end == TrainerExit(-signal.SIGKILL, "")
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_a_cancelled_run_leaves_no_process(tmp_path: Path) -> None:
    heard = Heard()
    code = LISTEN + "import os\nsay(os.getpid())\ntime.sleep(600)"
    end = asyncio.create_task(trainer(tmp_path, code, heard).run())
    pid = int(await heard.next())
    end.cancel()
    with pytest.raises(asyncio.CancelledError):
        await end
    assert not psutil.pid_exists(pid)


SERVE = LISTEN + (
    "import os\nfor line in sys.stdin:\n say(os.getpid())\n"
    f" sys.stdout.buffer.write({TASK_ENDED!r})\n sys.stdout.buffer.flush()\n"
)


async def served_by(slot: TrainerSlot, tmp_path: Path, job: str | None) -> int:
    """The process that a task of this job ran in."""
    heard = Heard()
    assert await task(slot, tmp_path, heard, job).run() == TrainerExit(0, "")
    return int(await heard.next())


async def test_a_process_takes_further_tasks_of_the_same_job_alone(tmp_path: Path) -> None:
    serving = slot(SERVE, 60)
    first = await served_by(serving, tmp_path, "job-1")
    assert await served_by(serving, tmp_path, "job-1") == first
    second = await served_by(serving, tmp_path, "job-2")
    assert second != first
    assert not psutil.pid_exists(first), "a slot has one process"
    third = await served_by(serving, tmp_path, "job-1")
    assert third not in {first, second}
    await serving.close()
    assert not psutil.pid_exists(third)


@pytest.mark.parametrize(("job", "keep_seconds"), [(None, 60), ("job-1", 0)])
async def test_a_process_for_private_rows_or_without_a_time_to_wait_takes_one_task(
    tmp_path: Path, job: str | None, keep_seconds: float
) -> None:
    serving = slot(SERVE, keep_seconds)
    first, second = [await served_by(serving, tmp_path, job) for _ in range(2)]
    assert first != second
    assert not psutil.pid_exists(first)
    assert not psutil.pid_exists(second)


async def test_a_process_that_is_killed_while_it_waits_costs_no_task(tmp_path: Path) -> None:
    serving = slot(SERVE, 60)
    first = await served_by(serving, tmp_path, "job-1")
    os.kill(first, signal.SIGKILL)
    assert await served_by(serving, tmp_path, "job-1") != first
    await serving.close()


async def test_a_process_waits_for_a_limited_time(tmp_path: Path) -> None:
    serving = slot(SERVE, 0.01)
    process = await served_by(serving, tmp_path, "job-1")
    while psutil.pid_exists(process):
        await asyncio.sleep(0.01)
    await serving.close()


async def test_a_task_that_fails_ends_its_process(tmp_path: Path) -> None:
    heard = Heard()
    serving = slot(LISTEN + "import os\nsay(os.getpid())\nprint('no memory')\nsys.exit(1)", 60)
    assert await task(serving, tmp_path, heard, "job-1").run() == TrainerExit(1, "no memory")
    assert not psutil.pid_exists(int(await heard.next()))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread looks once a second")
def test_an_orphan_dies_with_its_parent(tmp_path: Path) -> None:
    child = (
        "import os, time\nfrom node_agent.tasks.lifeline import die_with\ndie_with(os.getppid())\n"
        "print(os.getpid(), flush=True)\ntime.sleep(600)"
    )
    parent = f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {child!r}])\ntime.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", parent], env=ENVIRONMENT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    orphan = psutil.Process(int(process.stdout.readline()))
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 60
    while orphan.is_running() and orphan.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE


def test_whoever_comes_too_late_for_its_parent_ends_at_once() -> None:
    code = "from node_agent.tasks.lifeline import die_with\ndie_with(1 << 22)\nprint('alive')"
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")


def test_a_trainer_inherits_no_secrets() -> None:
    agent = {
        "PATH": "/bin",
        "HOME": "/home/x",
        "AWS_SECRET_ACCESS_KEY": "s",
        "HF_TOKEN": "s",
        "ATLAS_NODE_HOME": "/n",
        "CUDA_VISIBLE_DEVICES": "0,1",
        "PYTHONPATH": "/more",
    }
    found = trainer_environment(agent, threads=3, gpu="GPU-1", cache=Path("/cache"))
    assert "s" not in found.values()
    assert "ATLAS_NODE_HOME" not in found
    assert (found["OMP_NUM_THREADS"], found["MKL_NUM_THREADS"], found["CUDA_VISIBLE_DEVICES"]) == ("3", "3", "GPU-1")
    assert found["PYTHONPATH"] == os.pathsep.join([str(REPOSITORY), "/more"])
    assert "CUDA_VISIBLE_DEVICES" not in trainer_environment(agent, threads=1, gpu=None, cache=Path("/cache"))


@pytest.mark.parametrize("line", [b"", b"noise\n", b'{"other": 1}\n', b'{"__dagster_pipes_version": "0.1", broken\n'])
def test_what_is_no_pipes_message_is_passed_over(line: bytes) -> None:
    assert parse_pipes(line) is None


def test_a_pipes_message_is_parsed() -> None:
    assert parse_pipes((PIPES % "x").encode()) == json.loads(PIPES % "x")


def test_a_tail_of_broken_text_is_still_text(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"fine \xff\xfe end\n")
    assert tail(tmp_path / "log", 0).endswith("end")

"""Ask for a preview of the model and the rows, from a child process that imports torch."""

import logging
import subprocess
import sys
from collections.abc import Mapping

from atlas.training.preview.documents import Preview, PreviewAnswer, PreviewRequest
from atlas.unexpected import one_line
from node_agent.tasks.trainer_process import trainer_environment
from resources.errors import CoordinatorError
from resources.jobs.local_tasks import refuse_without_trainer

log = logging.getLogger(__name__)
COMMAND = (sys.executable, "-P", "-u", "-m", "node_agent.preview")


def ask_preview(request: PreviewRequest, environment: Mapping[str, str]) -> Preview:
    """The preview that a child process makes. Blocks.

    `environment` is this process's own, and `request.parent` its id. Raises `CoordinatorError` where torch is not
    installed, with the sentence that training would end with, and with the end of the child's output if it crashes.
    """
    what = f"The preview of {request.spec.model.source}"
    refuse_without_trainer(what)
    done = subprocess.run(
        COMMAND,
        input=request.model_dump_json().encode(),
        capture_output=True,
        env=trainer_environment(environment, 1, "", request.cache),
    )
    if done.returncode != 0:
        printed = done.stderr.decode("utf-8", "replace")
        log.error("%s ended with exit code %d:\n%s", what, done.returncode, printed)
        reason = one_line(printed.strip()[-400:]) or "it printed nothing"
        raise CoordinatorError(f"{what} ended with exit code {done.returncode}: {reason}")
    answer = PreviewAnswer.model_validate_json(done.stdout)
    if answer.preview is None:
        raise CoordinatorError(answer.refusal or f"{what} ended without an answer.")
    return answer.preview

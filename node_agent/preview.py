"""The process that looks at the model and rows of an order: `python -u -m node_agent.preview`.

It reads a `PreviewRequest` from standard input and prints one line, a `PreviewAnswer`. It imports torch, as the trainer
does, so that the coordinator does not.
"""

import os
import sys

from atlas.errors import AtlasError
from atlas.training.preview.documents import PreviewAnswer, PreviewRequest
from node_agent.tasks.lifeline import die_with


def main() -> None:
    """Answer one request. Libraries may print, so standard output is only for the answer."""
    request = PreviewRequest.model_validate_json(sys.stdin.buffer.read())
    die_with(request.parent)
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        from atlas.training.preview.preview import preview

        try:
            answer = PreviewAnswer(preview=preview(request))
        except AtlasError as error:
            answer = PreviewAnswer(refusal=str(error))
        answers.write(answer.model_dump_json() + "\n")


if __name__ == "__main__":
    main()

"""Uploading an exported folder to the Hugging Face hub."""

from pathlib import Path

import httpx2
from huggingface_hub import HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public, but loaded lazily

from resources.errors import PushError

MESSAGE = "Upload a checkpoint of Atlas Pipelines"


def push_folder(folder: Path, repository: str, private: bool, endpoint: str | None = None) -> str:
    """Upload a folder's files in one commit to ORG/NAME, created if missing; return the commit's URL.

    `private` only applies to a repository that is created now. The hub library provides the token: HF_TOKEN, or the one
    that `hf auth login` has stored. Raises `PushError` with one sentence when the hub refuses or does not answer;
    nothing is retried.
    """
    where = endpoint or constants.ENDPOINT
    check_target(repository)
    api = HfApi(endpoint=endpoint)
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=repository, folder_path=folder, commit_message=MESSAGE).commit_url)
    except HfHubHTTPError as error:
        raise PushError(_why_refused(error, repository, where)) from error
    except (httpx2.HTTPError, OSError, RuntimeError) as error:  # RuntimeError: the hub's, for a failed file
        raise PushError(f"The upload to {where} failed: {error.__cause__ or error}.") from error


def check_target(repository: str) -> None:
    """Raise `PushError` unless `repository` has the form ORG/NAME and this machine has a token."""
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise PushError(f"{repository!r} is not a repository of the hub: {error}") from error
    if repository.count("/") != 1:
        raise PushError(f"{repository!r} is not a repository of the hub; give ORG/NAME, with your user name as ORG.")
    if get_token() is None:
        raise PushError("There is no Hugging Face token here; set HF_TOKEN, or log in with `hf auth login`.")


def _why_refused(error: HfHubHTTPError, repository: str, where: str) -> str:
    status, organisation = error.response.status_code, repository.partition("/")[0]
    said = error.server_message or error.response.reason_phrase
    if status == 401:
        return f"{where} does not accept the token; set HF_TOKEN to a valid one, or log in with `hf auth login`."
    if status == 403:
        return f"The token may not write to {repository} at {where} ({said}); use one with write access."
    if status == 404:
        return f"{where} has no {repository}, nor an organisation {organisation} to create it in ({said})."
    return f"{where} refused the upload to {repository} with status {status}: {said}."

"""The subjects of the message bus, and the bodies of the messages on them."""

import inspect

from node_agent.wire import messages, subjects
from scripts.reference.schemas import fields_table, table


def subjects_page() -> str:
    """Every subject with what is published on it, then every body."""
    rows = [(f"`{subject}`", " ".join((inspect.getdoc(function) or "").split())) for subject, function in found()]
    parts = [
        "# Bus subjects",
        "Coordinator and nodes exchange these messages over NATS. Each is wrapped in an envelope that its sender signs "
        "with the key of its chain account. Messages carry identifiers, never tensors, and any of them may be lost: "
        "what a node works on is decided by the chain alone.",
        table(("Subject", "Messages"), [(one, text.replace("|", "\\|")) for one, text in rows]),
        "## Message bodies",
    ]
    for name, body in bodies():
        schema = body.model_json_schema()
        parts.append(f"### `{name}`\n\n{inspect.getdoc(body)}\n\n{fields_table(schema, schema.get('$defs', {}))}")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def found() -> list[tuple[str, object]]:
    """Each subject with a placeholder for its identifier, and the function that makes it."""
    functions = [
        one for _, one in inspect.getmembers(subjects, inspect.isfunction) if one.__module__ == subjects.__name__
    ]
    return sorted((one(*(f"{{{name}}}" for name in inspect.signature(one).parameters)), one) for one in functions)


def bodies() -> list[tuple[str, type[messages.Body]]]:
    """Every kind of message body, by name."""
    classes = inspect.getmembers(messages, inspect.isclass)
    return [(name, one) for name, one in classes if issubclass(one, messages.Body) and one is not messages.Body]

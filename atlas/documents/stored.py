"""Documents in a content store: written as canonical bytes, read back and checked."""

from typing import TypeVar

from atlas.content.store import ContentStore
from atlas.content.verified import VerifiedStore
from atlas.documents.document import Document
from atlas.errors import ContentError, SpecError
from atlas.ids import Cid

DocumentType = TypeVar("DocumentType", bound=Document)


def put_document(store: ContentStore, document: Document) -> Cid:
    """Store a document's canonical bytes; returns `document.cid`."""
    return store.put(document.canonical_bytes())


def get_document(store: ContentStore, cid: Cid, kind: type[DocumentType]) -> DocumentType:
    """Read and validate a document; a `VerifiedStore` holds the result, which is read and validated once.

    Raises as `ContentStore.read` does, `SpecError` when it is not such a document, and `ContentError` when its bytes
    are not canonical, because it would then have two CIDs.
    """
    if not isinstance(store, VerifiedStore):
        return _read_document(store, cid, kind)
    held: DocumentType | None = store.documents.get((cid, kind))
    if held is None:
        held = store.documents[cid, kind] = _read_document(store, cid, kind)
    return held


def _read_document(store: ContentStore, cid: Cid, kind: type[DocumentType]) -> DocumentType:
    data = store.read(cid)
    try:
        document = kind.from_bytes(data)
    except SpecError as error:
        raise SpecError(f"{cid}: {error}") from error
    if document.cid != cid:
        raise ContentError(
            f"{cid} holds a {kind.__name__} that is not in canonical form; its own CID is {document.cid}. "
            "It was written by hand or by another version of Atlas Pipelines; write it again with this one."
        )
    return document

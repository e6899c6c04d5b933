"""web5.records -> web5.identity_links: what DIDs say about addresses, version by version.

Each record is verified again here: whoever wrote the topic is not trusted. A statement is
"claimed", never more.
"""

from __future__ import annotations

from joins.state import Store
from schemas.dwn.errors import DwnInvalid
from schemas.dwn.event import verify_record
from schemas.envelope import Event
from schemas.events import IdentityLink
from streams import topics
from streams.chain.links import LinkStatement, links_of, replaces
from streams.engine.codec import register
from streams.engine.step import Batch, Emit, Rows, Step

NAME = "link_identities"
register(LinkStatement)


def process(batch: Batch, state: Store, emit: Emit) -> None:
    """Verify each record, then restate what its record id says."""
    for event in batch:
        try:
            verify_record(event.value)
        except DwnInvalid as error:
            emit.refuse(event, _cause(error), str(error))
            continue
        statements = links_of(event.value)
        if not statements:
            emit.filtered(event, "no statement about an address")
            continue
        for statement in statements:
            _restate(state, emit, event, statement)


def _cause(error: DwnInvalid) -> str:
    return "forged_signature" if error.cause == "signature" else f"dwn_{error.cause}"


def _restate(state: Store, emit: Emit, event: Event, statement: LinkStatement) -> None:
    record = (statement.tenant, statement.record_id)
    place = ("said", *record, statement.message_cid)
    before = versions([s for _, s in state.scan(("said", *record))])
    if event.op == "retract":
        state.delete(place)
    else:
        state.put(place, statement)
    after = versions([s for _, s in state.scan(("said", *record))])
    rows = Rows(NAME, state, emit)
    for row in before | after:
        value, ts = after.get(row, (None, event.ts))
        rows.set(topics.identity_links, row, value, ts, event)


def versions(statements: list[LinkStatement]) -> dict[str, tuple[IdentityLink, int]]:
    """The versions that the statements of one record give: row name to link and valid-from (ms).

    A statement that replaces another one ends the link to the other's address.
    """
    found: dict[str, tuple[IdentityLink, int]] = {}
    standing: LinkStatement | None = None
    for statement in sorted(statements, key=lambda s: (s.ts, s.message_cid)):
        if standing is not None and not replaces(statement, standing):
            continue
        moved = standing is not None and standing.address != statement.address
        if standing is not None and standing.address is not None and moved:
            link = _link(standing, standing.address, statement, revoked=True)
            found[f"{statement.message_cid}:{standing.address}"] = (link, statement.ts)
        if statement.address is not None:
            link = _link(statement, statement.address, statement, revoked=False)
            found[f"{statement.message_cid}:{statement.address}"] = (link, statement.ts)
        standing = statement
    return found


def _link(said: LinkStatement, address: str, by: LinkStatement, *, revoked: bool) -> IdentityLink:
    return IdentityLink(
        address=address,
        network=said.network,
        did=said.did,
        proof_kind=said.proof_kind,
        strength=said.strength,
        record_id=said.record_id,
        message_cid=by.message_cid,
        revoked=revoked,
        valid_to=None if revoked else said.valid_to,
    )


step = Step(NAME, (topics.records,), (topics.identity_links,), process)

"""The field of drafts: read back, within its limit, absent if it is not ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.composing.draft_field import DraftQuote, DraftState, draft_field, draft_state
from mail.composing.written_fields import written_fields

TEXTS = st.none() | st.text(max_size=70)
STATES = st.builds(
    DraftState,
    identity_id=TEXTS,
    in_reply_to=TEXTS,
    quote=st.none()
    | st.builds(DraftQuote, message_id=st.text(), kind=st.text(), include=st.text()),
    client_id=TEXTS,
    upload_ids=st.lists(st.text(max_size=36), max_size=9).map(tuple),
    is_text_made=st.booleans(),
)


@given(STATES)
def test_it_is_read_back(state: DraftState) -> None:
    field = draft_field(state)
    assert max(map(len, field.split(b"\r\n"))) <= 78
    assert written_fields(field + b"Subject: x\r\n\r\n").state == state


@given(st.binary())
def test_any_other_value_is_no_state(value: bytes) -> None:
    draft_state([value])
    assert draft_state([b"junk", b"", b"e30="]) == DraftState()


def test_a_hundred_uploads_fit_and_more_than_the_limit_does_not() -> None:
    assert draft_field(DraftState(upload_ids=("x" * 36,) * 100, client_id="y" * 64))
    with pytest.raises(ValueError, match="too large"):
        draft_field(DraftState(upload_ids=("x" * 36,) * 500))

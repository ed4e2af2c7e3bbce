"""format=flowed: the lines of a paragraph are joined, and no other lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.mime.format_flowed import unflow
from mail.mime.message_parser import read_mail, read_words


@pytest.mark.parametrize(
    ("text", "joined", "without_spaces"),
    [
        ("one \ntwo\nthree", "one two\nthree", "onetwo\nthree"),
        ("> a \n> b\n>> c \nd", "> a b\n>> c \nd", "> ab\n>> c\nd"),
        (" >not quoted\n From here", ">not quoted\nFrom here", ">not quoted\nFrom here"),
        ("end \n-- \nKim \nLee", "end \n-- \nKim Lee", "end\n-- \nKimLee"),
        ("last ", "last ", "last"),
        ("\n\n", "\n\n", "\n\n"),
    ],
)
def test_soft_breaks_are_joined(text: str, joined: str, without_spaces: str) -> None:
    assert unflow(text, delete_space=False) == joined
    assert unflow(text, delete_space=True) == without_spaces


@given(st.text(alphabet=" >-ab\n", max_size=60))
def test_no_letter_is_lost_or_moved(text: str) -> None:
    letters = [character for character in text if character in "ab"]
    for delete_space in (False, True):
        joined = unflow(text, delete_space=delete_space)
        assert [character for character in joined if character in "ab"] == letters
        assert joined.count("\n") <= text.count("\n")


def test_a_word_cut_by_a_soft_break_is_displayed_and_searchable() -> None:
    header = "Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes\r\n\r\n"
    content = (header + "내일 회 \r\n의실에서 만나요.\r\n").encode()
    assert read_mail(content).text.strip() == "내일 회의실에서 만나요."
    assert "회의실에서" in read_words(content).text

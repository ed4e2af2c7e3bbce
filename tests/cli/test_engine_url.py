"""URLs of engines: every valid one is read again from its text; no error shows a secret."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.config.config import load
from cli.config.engine_url import BadUrl, EngineUrl, UrlForm
from cli.config.engines import FORMS
from cli.config.setting_reader import BadSetting

SECRET = "hunter2correcthorse"
LETTERS = st.sampled_from("abcXYZ019")
NAMES = st.text(LETTERS, min_size=1, max_size=12)
HOSTS = NAMES | st.builds("{}.{}".format, NAMES, NAMES) | st.sampled_from(["10.0.0.1", "::1"])
NAMED_FORMS = st.sampled_from(sorted(FORMS.items()))


@st.composite
def urls(draw: st.DrawFn, form: UrlForm) -> EngineUrl:
    is_tls = form.tls and draw(st.booleans())
    ca = st.none() | st.just(Path("/etc/ssl/ca-1.pem"))
    numbers = {key: str(draw(st.integers(*limits))) for key, limits in form.numbers.items()}
    options = numbers | {key: draw(NAMES) for key in form.words}
    needs_user = form.user == "required" or (form.user == "optional" and draw(st.booleans()))
    count = st.integers(1, min(form.hosts_max, 4))
    return EngineUrl(
        scheme=form.scheme,
        hosts=tuple(
            draw(count.flatmap(lambda n: st.lists(HOSTS, min_size=n, max_size=n, unique=True)))
        ),
        port=draw(st.integers(1, 65_535)),
        user=draw(NAMES) if needs_user else "",
        path=draw(NAMES) if form.path else "",
        tls=is_tls,
        ca=draw(ca) if is_tls else None,
        options=tuple(sorted(options.items())),
    )


@given(st.data(), NAMED_FORMS)
def test_a_url_is_read_again_from_its_text(data: st.DataObject, named: tuple[str, UrlForm]) -> None:
    _, form = named
    url = data.draw(urls(form))
    assert EngineUrl.parse(str(url), form) == url


def _error(settings: dict[str, str]) -> str:
    """Why the settings are refused; "": they are not."""
    try:
        load(settings)
    except BadSetting as error:
        return str(error)
    return ""


@given(
    st.text(max_size=80),
    st.text("@:/?&=,[]tls", max_size=12),
    NAMED_FORMS,
    st.sampled_from(["", "{}://"]),
)
def test_any_text_is_a_url_or_refused_without_a_secret_in_it(
    text: str, more: str, named: tuple[str, UrlForm], begin: str
) -> None:
    name, form = named
    value = begin.format(form.scheme) + text + SECRET + more
    with suppress(BadUrl):
        url = EngineUrl.parse(value, form)
        assert EngineUrl.parse(str(url), form) == url
    given = {"POSTRIVER_PROFILE": "distributed", f"POSTRIVER_{name.upper()}": value}
    assert SECRET not in _error(given)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("redis", "http://h", "does not begin with redis://"),
        ("redis", "REDIS://h", "does not begin with redis://"),
        ("redis", f"redis://ann:{SECRET}@h", "REDIS_PASSWORD_FILE"),
        ("redis", f"redis://:{SECRET}@h", "has a password"),
        ("redis", f"redis://h?password={SECRET}", "something else than tls, ca"),
        ("redis", f"redis://h?{SECRET}", "something else than tls, ca"),
        ("redis", "redis://h:0", "port is not one of 1 to 65535"),
        ("redis", "redis://h:65536", "port is not one of 1 to 65535"),
        ("redis", "redis://h:six", "the port is no number"),
        ("redis", "redis://h:²", "the port is no number"),
        ("redis", "redis://", "neither a name nor an address"),
        ("redis", "redis://a,b", "more than 1 host"),
        ("redis", "redis://-h", "neither a name nor an address"),
        ("redis", "redis://h/0", "has no path"),
        ("redis", "redis://h?", "something else"),
        ("redis", "redis://h?tls=yes", "tls is 0 or 1"),
        ("redis", "redis://h?tls=1&tls=1", "tls is there twice"),
        ("redis", "redis://h?ca=/ca.pem", "ca needs tls=1"),
        ("redis", "redis://h?tls=1&ca=ca.pem", "absolute path"),
        ("redis", "redis://h?tls=1#x", "tls is 0 or 1"),
        ("s3", "s3://h/mails", "no USER@"),
        ("s3", "s3://key@h", "has no bucket"),
        ("s3", "s3://key@h/a/b", "has no bucket"),
        ("s3", "s3://key@h/mails?region=", "region is a word"),
        ("clamd", "clamd://ann@h", "has no user"),
        ("clamd", "clamd://h?tls=1", "something else than nothing"),
    ],
)
def test_a_bad_url_is_refused_with_what_is_wrong(name: str, text: str, why: str) -> None:
    given = {"POSTRIVER_PROFILE": "distributed", f"POSTRIVER_{name.upper()}": text}
    with pytest.raises(BadSetting, match=f"POSTRIVER_{name.upper()}") as caught:
        load(given)
    assert why in str(caught.value)
    assert SECRET not in str(caught.value)

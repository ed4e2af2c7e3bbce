from pathlib import Path

from stack.logs import LINE_MAX_BYTES, LOG_FILES, LogFile, last_lines


def test_rotation_keeps_every_line_whole_and_in_order(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", max_bytes=1000)
    text = b"".join(b"line %04d\n" % number for number in range(400))
    for start in range(0, len(text), 37):
        log.feed(text[start : start + 37])
    log.close()
    files = [tmp_path / "x.log", *(tmp_path / f"x.log.{n}" for n in range(1, LOG_FILES))]
    kept = b"".join(file.read_bytes() for file in reversed(files))
    assert all(file.stat().st_size <= 1000 for file in files)
    assert text.endswith(kept)
    assert kept.startswith(b"line ")
    assert len(kept) >= 4000
    assert not (tmp_path / f"x.log.{LOG_FILES}").exists()


def test_the_last_words_of_a_dead_process_are_a_line(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    for words in (b"one\ntw", b"three"):
        log = LogFile(path)
        log.feed(words)
        log.close()
    assert last_lines(path) == ["one", "tw", "three"]


def test_an_endless_line_takes_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    log = LogFile(path)
    log.feed(b"a" * (LINE_MAX_BYTES + 1))
    assert path.stat().st_size == LINE_MAX_BYTES + 2
    log.close()


def test_a_full_disk_is_survived_and_told(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    log = LogFile(path)
    with Path("/dev/full").open("ab", buffering=0) as full:
        log._file, file = full, log._file
        log.feed(b"lost\n")
        log._file = file
    log.feed(b"kept\n")
    log.close()
    assert last_lines(path) == ["(5 bytes of log lost: disk full)", "kept"]

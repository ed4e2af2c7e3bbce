from streams import topology_doc
from streams.topology import STAGES, TOPICS


def test_the_page_is_current():
    assert topology_doc.main(["--check"]) == 0, "run: python -m streams.topology_doc"


def test_check_refuses_another_page_and_writing_mends_it(tmp_path, monkeypatch, capsys):
    page = tmp_path / "docs" / "topology.md"
    monkeypatch.setattr(topology_doc, "PAGE", page)
    assert topology_doc.main(["--check"]) == 1
    assert topology_doc.main([]) == 0
    assert topology_doc.main(["--check"]) == 0
    page.write_text(page.read_text() + "by hand\n")
    assert topology_doc.main(["--check"]) == 1
    assert topology_doc.main(["--else"]) == 2
    assert "out of date" in capsys.readouterr().err


def test_every_topic_and_stage_has_a_row_and_a_node():
    lines = topology_doc.render().splitlines()
    for topic in TOPICS:
        assert sum(line.startswith(f"| `{topic.name}` |") for line in lines) == 1
        assert sum(line.endswith(f"[({topic.name})]") for line in lines) == 1
    for stage in STAGES:
        assert sum(line.startswith(f"| {stage.name} | {stage.role} |") for line in lines) == 1

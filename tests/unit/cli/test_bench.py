import json

QUICKLY = ("--shape", "small", "--device", "cpu", "--threads", 1, "--quick")


def test_the_last_line_is_json_and_a_file_has_the_same(run, tmp_path):
    ran = run("bench", "realtime_factor", *QUICKLY, "--json", tmp_path / "figures.json")
    assert ran.code == 0, ran.err
    figures = json.loads(ran.out.splitlines()[-1])
    assert figures == json.loads((tmp_path / "figures.json").read_text())
    assert figures["subject"]["shape"] == "small" and figures["plan"]["rounds"] == 1
    assert figures["machine"]["threads"] == 1
    (table,) = figures["tables"].values()
    assert table["columns"][1] == "real-time factor" and table["rows"][0][1] > 0
    assert "Real-time factor" in ran.out and "small with random weights, seed 0, on" in ran.out


def test_what_cannot_be_measured_is_one_line(run, tmp_path):
    assert "there is nothing to measure by the name of 'speed'" in run("bench", "speed").complaint
    assert "there is no shape '7b'" in run("bench", "--shape", "7b").complaint
    assert "there is no folder 'nowhere'" in run("bench", "throughput", "-m", "nowhere").complaint

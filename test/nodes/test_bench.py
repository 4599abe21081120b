import json
import os
import subprocess
import sys

from support.tiny_bundle import write_tiny_bundle


def test_the_latency_benchmark_measures_every_hop_and_the_bare_networks(tmp_path):
    write_tiny_bundle(tmp_path / "tiny", risk_threshold=1.0)
    out = tmp_path / "latency.json"
    main = "import sys; from safe_o2o_ros.cli.main import main; sys.exit(main())"
    subprocess.run(
        [sys.executable, "-c", main, "bench", "latency", "--bundle", str(tmp_path / "tiny"), "--seconds", "3"]
        + ["--json", str(out)],
        check=True,
        timeout=120,
        env=os.environ,
    )
    result = json.loads(out.read_text())
    assert result["frames"] > 0
    assert result["reasons"]["pass"] > 0
    graph = result["graph_ms"]
    assert len(graph) == 6
    for row in (*graph.values(), *result["bare_onnx_ms"].values()):
        assert 0.0 < row["p50"] <= row["p99"] <= row["max"]
    # The hops lie inside the total.
    total = graph["total: image published -> cmd_vel received"]["p50"]
    assert total > graph["encoder: image -> latent"]["p50"]

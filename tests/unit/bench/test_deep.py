"""A deeper model that says the same."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from serve_app.bench.deep import CONFIG, WEIGHTS, deepen

BLOCK = ("self_attn.q_proj.weight", "self_attn.o_proj.weight", "mlp.down_proj.weight")


def test_layers_are_added_that_add_nothing(tmp_path: Path) -> None:
    base, deep = tmp_path / "base", tmp_path / "deep"
    base.mkdir()
    (base / CONFIG).write_text(json.dumps({"num_hidden_layers": 2, "hidden_size": 4}))
    ones = np.ones((4, 4), dtype=np.float32)
    names = [f"model.layers.{layer}.{name}" for layer in range(2) for name in BLOCK]
    save_file(dict.fromkeys((*names, "lm_head.weight"), ones), base / WEIGHTS)
    deepen(base, deep, 5)
    assert json.loads((deep / CONFIG).read_text()) == {"num_hidden_layers": 5, "hidden_size": 4}
    weights = load_file(deep / WEIGHTS)
    assert len(weights) == 5 * len(BLOCK) + 1
    for layer in range(5):
        query, *outputs = (weights[f"model.layers.{layer}.{name}"] for name in BLOCK)
        assert query.all()
        assert all(output.any() == (layer < 2) for output in outputs)

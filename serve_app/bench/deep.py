"""A base model that says what another says and takes a real one's time to say it.

A tiny model's step is shorter than what a gateway does for a request, which no served model's is.
Layers are added that change nothing: their outputs are zeros, and what passes by a layer stays as
it was. A step then lasts about as long for one request as for a full batch, as it does on a GPU,
where weights are read once for all of it.
"""

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

WEIGHTS, CONFIG = "model.safetensors", "config.json"
_OUTPUTS = ("self_attn.o_proj.weight", "mlp.down_proj.weight")


def deepen(base: Path, into: Path, layers: int) -> None:
    """Write ``base``, a Llama's directory in one file of weights, with ``layers`` layers.

    Raises:
        OSError: it cannot be read, or ``into`` exists.
    """
    shutil.copytree(base, into)
    config = json.loads((base / CONFIG).read_text(encoding="utf-8"))
    weights = load_file(base / WEIGHTS)
    last = f"model.layers.{config['num_hidden_layers'] - 1}."
    block = {name.removeprefix(last): w for name, w in weights.items() if name.startswith(last)}
    block |= {name: np.zeros_like(block[name]) for name in _OUTPUTS}
    for layer in range(config["num_hidden_layers"], layers):
        weights |= {f"model.layers.{layer}.{name}": w for name, w in block.items()}
    config["num_hidden_layers"] = layers
    (into / CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
    save_file(weights, into / WEIGHTS, metadata={"format": "pt"})

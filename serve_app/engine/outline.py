"""``python -m serve_app.engine.outline MODEL`` prints the linear layers of a base model as JSON.

Run in a process of its own, because it holds torch. The model is built from its config alone, on
the meta device: no weights are read or downloaded, no memory is taken.
"""

import argparse
import json
import sys

import torch
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, AutoModel, AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D


def outline(model: str, revision: str | None, trust_remote_code: bool) -> dict[str, list[int]]:
    """``[in_features, out_features]`` of every linear layer, by its name in PEFT's sense."""
    config = AutoConfig.from_pretrained(
        model, revision=revision, trust_remote_code=trust_remote_code
    )
    generates = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING or trust_remote_code
    kind = AutoModelForCausalLM if generates else AutoModel
    with torch.device("meta"):
        built = kind.from_config(config, trust_remote_code=trust_remote_code)
    return {name: widths for name, part in built.named_modules() if (widths := _widths(part))}


def _widths(part: object) -> list[int] | None:
    if isinstance(part, torch.nn.Linear):
        return [part.in_features, part.out_features]
    if isinstance(part, Conv1D):
        return [part.nx, part.nf]
    return None


def main() -> None:
    parser = argparse.ArgumentParser(prog="outline", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--revision")
    parser.add_argument("--trust-remote-code", action="store_true")
    chosen = parser.parse_args()
    found = outline(chosen.model, chosen.revision, chosen.trust_remote_code)
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()

"""One base model, many LoRA adapters, many tenants, served by Ray Serve and vLLM."""

__version__ = "0.1.0"

"""A tiny base model and LoRA adapters, made here, each answering in words no other can say."""

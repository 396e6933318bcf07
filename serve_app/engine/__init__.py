"""How answers are made: the replica, its adapters' residency, the token bus, and vLLM itself."""

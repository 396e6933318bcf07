"""Who is asking, and which adapters they may name. Pure: no clock, no network, no files."""

"""The one writer: what adapters there are, in which versions, and who may use them."""

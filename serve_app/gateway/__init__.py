"""HTTP: authenticate, resolve, govern, place and stream back. Never imports torch or vllm."""

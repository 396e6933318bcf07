"""``python -m serve_app.bench``: one replica of this application beside a bare vLLM server.

Both run at the same time with the same engine, and are measured in turns by the same client.
"""

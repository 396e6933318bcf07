"""``python -m serve_app.bench.live``: ways to route, on real Ray Serve and real vLLM, in one run.

All of them place requests on the same engines, in short blocks that take turns.
"""

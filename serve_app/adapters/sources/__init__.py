"""Where adapters come from: directories, buckets, the hub, and folders on the web."""

from serve_app.adapters.sources.fetching import fetch
from serve_app.adapters.sources.rules import SourceRules

__all__ = ["SourceRules", "fetch"]

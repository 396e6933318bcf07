"""Two adapters beside each other: asked at once, judged, counted, reported."""

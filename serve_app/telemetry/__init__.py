"""What operators see: metrics through Ray, access logs as JSON."""

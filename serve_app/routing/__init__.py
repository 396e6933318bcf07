"""Where a request goes: a pure policy, the gateway's view of the fleet, and Ray's seam."""

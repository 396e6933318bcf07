"""Settings of every unit test."""

from hypothesis import HealthCheck, settings

# A busy machine is no reason to fail.
settings.register_profile("unit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unit")

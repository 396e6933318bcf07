"""Exit codes of ``serve-app``. They are part of its interface: never renumber them."""

STOPPED = 0
"""Did what was asked: also ``up`` that was asked to stop, and did."""

FAILED = 1
"""The application could not start, or ended by itself."""

CONFIG_REFUSED = 2
"""The config file or the command line is wrong."""

MACHINE_UNFIT = 3
"""Something on this machine stands in the way."""

AWAY = 4
"""No application answers at the address that was given, or it cannot answer now."""

DENIED = 5
"""The application refused the key."""

UNKNOWN_ANSWER = 6
"""What answers at the address that was given is not this application, or not of this version."""

REFUSED = 7
"""The application would not do it: there is no such thing, or it does not go with what there is."""

"""Which arm answers whom, and what the answers show. Pure."""

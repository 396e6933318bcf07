"""The ``serve-app`` command. Nothing else imports it."""

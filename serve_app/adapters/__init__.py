"""What an adapter is: its names, its content digest, and whether it may be served."""

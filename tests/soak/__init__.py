"""The whole service as processes, what goes wrong with them, and callers that don't wait for answers."""

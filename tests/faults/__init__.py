"""What breaks, on purpose: each fault is a test with a name, and one checker judges what is left after it."""

"""What tells whether the tests would notice: small faults put into the scripts, one at a time."""

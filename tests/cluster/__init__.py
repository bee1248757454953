"""Real clusters: three masters, or three with a replica each."""

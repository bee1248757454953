"""The keys of clients and of the service: refused, revoked, rotated, measured."""

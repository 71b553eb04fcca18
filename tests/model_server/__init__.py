"""A loopback model server for tests: real agents talk to it in their own dialects, and it answers by a script."""

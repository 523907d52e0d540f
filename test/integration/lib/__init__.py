"""What the integration tests stand on: real servers, fakes, clients, and ways to wait."""

"""The running node: the only place where rules, storage, mesh and interface are wired together."""

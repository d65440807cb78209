"""Storage: the chain and the outbox in SQLite, the signing record, the folder lock, backups. Touches the disk."""

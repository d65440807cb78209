"""The ledger: the state machine of accounts and modules. Pure and synchronous; storage and time are arguments."""

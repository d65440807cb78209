"""The mempool: transactions that wait for a block. Pure; the state and the slot are arguments."""

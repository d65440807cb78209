"""Encoding: canonical MessagePack, tagged hashes, amounts and addresses. Pure; imports nothing of ours."""

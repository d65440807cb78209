"""The mesh: how nodes find each other, talk and keep each other honest (protocol section 10)."""

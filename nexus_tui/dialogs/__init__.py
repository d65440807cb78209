"""Dialogs: a question over a screen, the whole screen on a phone. Each is imported when it is first opened."""

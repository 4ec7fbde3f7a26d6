"""Dialogues: what they are, how they become tokens, and where they come from (paper, section 4)."""

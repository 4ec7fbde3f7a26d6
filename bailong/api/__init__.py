"""Asking OpenAI-compatible endpoints: many calls at once, each paid for once, every failure kept."""

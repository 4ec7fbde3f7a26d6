"""Bailong: teach an existing LLM a new language, and compare every choice on the way fairly."""

__version__ = "0.1.0"

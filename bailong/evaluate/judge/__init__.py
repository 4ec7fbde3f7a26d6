"""A language model as judge: its prompts, how its word is read, and the language rule beside it (section 5.2)."""

"""Readers of what `collect` takes in. Each yields one item a record: its text, or why it has none. None of them stops
at a record that cannot be read, and none holds more than one record in memory."""

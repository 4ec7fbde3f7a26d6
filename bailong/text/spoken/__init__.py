"""Which language a text speaks, told by its scripts, letters and small words."""

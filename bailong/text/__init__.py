"""Facts about written text that the steps share: spans, scripts, characters."""

"""Wiki text: by which marks it is known, and how each of its marks becomes the text that a reader saw."""

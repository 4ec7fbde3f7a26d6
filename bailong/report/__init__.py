"""Runs compared: `runs` reads folders, `comparison` computes, `curves`, `table` and `page` show.

Everything here reads files only and imports no torch: it works on runs copied from another machine.
"""

"""Runs compared: `runs` reads folders, `comparison` computes, `curves`, `table` and `page` show. Of a prepared
corpus `books` reads the ledger, `corpus` is its page and `card` its lines in the terminal.

Everything here reads files only and imports no torch: it works on what was copied from another machine.
"""

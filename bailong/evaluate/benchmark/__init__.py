"""Benchmarks: what is asked, from which files, and the scores that need no judge (paper, section 5.1)."""

"""What every report is built of: pages (`elements`, `documents`, `bars`), tables in the terminal, numbers in words.

Nothing here knows what is reported or imports torch: reports are made from files that were copied from elsewhere.
"""

"""Patterns: what a transaction's shape says, one pattern a file, each a pure ``detect``.

A pattern that needs what is not known, such as a spent output, does not guess: it says nothing, or
says less with a lower confidence and the reason. ``catalog`` lists them all.
"""

from streams.patterns.catalog import TRANSACTION_PATTERNS, TransactionPattern, detect_all
from streams.patterns.replacement import detect_replacement

__all__ = ["TRANSACTION_PATTERNS", "TransactionPattern", "detect_all", "detect_replacement"]

"""What must have come of an input, and what did: an independent reader that shares no code of ours.

Imports confluent-kafka, fastavro, msgspec, asyncpg, the generator of the input, and nothing else
(a test reads the imports).
"""

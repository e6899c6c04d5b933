"""A simulation of the checkpoint protocol: no Kafka, seeded, every order of what may happen.

The engine's own ``Runner``, ``Transactions``, ``Task``, ``Recovery``, ``Encoder`` and stores run,
with a model of Kafka below them: ``broker``, ``client`` (what librdkafka promises) and ``disk``.
``python -m tests.simulation --seed N`` plays one run again.
"""

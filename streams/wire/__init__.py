"""The way to Kafka: TLS, SASL, who we are there and what we may do; one description for all.

``settings`` describes it, ``mapping`` says it to librdkafka and to aiokafka, ``tokens`` brings what
OAUTHBEARER needs, ``approach`` finds out why there is no way in, ``errors`` names it.
"""

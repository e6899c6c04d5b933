"""The wire on a real Kafka that is guarded: TLS, SASL and ACLs."""

"""How fast the main job's engine is beside others, on the same Kafka, with the same result."""

"""Where results go: one file a target, opened by name through ``sinks.catalog``."""

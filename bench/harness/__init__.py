"""What every bench needs: environments, a pinned broker and worker, rounds, an oracle, tables."""

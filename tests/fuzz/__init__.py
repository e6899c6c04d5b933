"""Mutations of real records against every decoder and every guard."""

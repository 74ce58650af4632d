"""Interactions: reading, id maps, splits, synthetic data."""

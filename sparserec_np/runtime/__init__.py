"""The model file and the recommender that reads it; NumPy and nothing heavier."""

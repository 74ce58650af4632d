"""Sparse embedding tables and their gradients."""

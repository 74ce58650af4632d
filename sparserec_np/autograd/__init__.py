"""Reverse-mode automatic differentiation over sparse embedding tables."""

"""Shipped fakes and contract suites."""

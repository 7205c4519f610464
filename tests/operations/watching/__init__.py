"""Tests of what the service notices of itself."""

"""Puts this folder on the import path (pytest does so for a conftest), for small_models."""

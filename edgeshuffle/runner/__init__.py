"""From an artifact to numbers."""

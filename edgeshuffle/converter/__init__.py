"""From weights to an artifact."""

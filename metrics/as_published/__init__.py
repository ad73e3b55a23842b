"""Metrics as papers computed them, defects included."""

"""Finds, describes and loads workflows."""

"""Hostile input for tests: mutations of valid values and files, all decided by a `random.Random`.

The campaign draws them from seeds; `strategies` lets hypothesis choose, and shrink, the same ones.
"""

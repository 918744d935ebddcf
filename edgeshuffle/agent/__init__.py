"""What runs on a board: loose files that need Python 3.9 and import nothing of ours."""

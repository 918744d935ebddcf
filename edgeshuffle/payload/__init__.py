"""What is put on a board: wheels, root file systems, bundles."""

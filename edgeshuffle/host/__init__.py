"""This computer: the user's folders and files on it, its signals, its terminal."""

"""Keys of sealed rows."""

"""App servers, one file each."""

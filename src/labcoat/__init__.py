"""labcoat: make the Python web stack fast by experiment."""

__version__ = "0.1.0.dev0"

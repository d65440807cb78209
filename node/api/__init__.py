"""The one typed interface to a node: the same methods, records and errors in-process and over a socket."""

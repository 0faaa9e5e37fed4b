"""Reports: a result as a person or a program reads it, a file each."""

"""The programs: stack files → typed settings → components."""

"""Programs that other environments run: a folder of their own, as Python puts it on `sys.path`."""

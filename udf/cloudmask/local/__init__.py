"""What a person runs at home: the command, files and pictures (extra `local`)."""

"""The `albert` command: parsing, subcommands, what they print."""

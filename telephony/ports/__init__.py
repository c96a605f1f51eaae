"""What the shell needs of the world, as Protocols: implementations are in `adapters`, wiring in `daemon`."""

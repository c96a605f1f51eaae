"""The bus: frames up to the web tier, asks down. Losing it loses no call and no row."""
